import { isLoopback } from './loopback.js';

/** Redirects of the root page that are followed at most. */
export const MOST_REDIRECTS = 3;

/** Path segments behind which an application asks who you are, instead of showing that it works. */
const LOGIN_SEGMENTS = new Set([
  'login',
  'log-in',
  'log_in',
  'signin',
  'sign-in',
  'sign_in',
  'auth',
  'sso',
  'oauth',
  'oauth2',
  'saml',
  'wp-login',
]);

/** True where a path leads to a login page: `/login`, `/en/sign-in`, `/wp-login.php`, `/api/auth/signin`. */
export function isLoginPath(path: string): boolean {
  return path
    .toLowerCase()
    .split('/')
    .some((segment) => LOGIN_SEGMENTS.has(segment.split('.')[0]!));
}

export type RedirectDecision = { follow: URL } | { refuse: string };

/**
 * What to do with a redirect of the page at `from`. Only the root page follows any, only to the same origin, at
 * most three, never to a login page and never in a circle. On loopback the application may name itself by another
 * loopback name or by https, because it sits behind a proxy: such a redirect is followed on the address asked.
 */
export function decideRedirect(
  from: URL,
  location: string | undefined,
  visited: readonly string[],
  root: boolean,
): RedirectDecision {
  if (location === undefined) return { refuse: 'redirects without saying where to' };
  let to: URL;
  try {
    to = new URL(location, from);
  } catch {
    return { refuse: 'redirects to something that is not a URL' };
  }
  const samePlace = onLoopbackItself(from, to);
  if (samePlace) {
    to.protocol = from.protocol;
    to.host = from.host;
  }
  // The query may hold a token and the host may be a secret: only the path is told, and only of the same origin.
  if (to.origin !== from.origin) {
    return {
      refuse:
        to.hostname === from.hostname && to.protocol !== from.protocol
          ? `redirects to ${to.protocol}//; give health-url so`
          : 'redirects to another origin',
    };
  }
  if (!root) return { refuse: `redirects to ${to.pathname}; ask for that path itself` };
  if (isLoginPath(to.pathname)) return { refuse: `redirects to a login page, ${to.pathname}` };
  if (visited.includes(withoutFragment(to)) || withoutFragment(to) === withoutFragment(from))
    return { refuse: 'redirects in a circle' };
  if (visited.length >= MOST_REDIRECTS) return { refuse: `redirects more than ${MOST_REDIRECTS} times` };
  return { follow: to };
}

function onLoopbackItself(from: URL, to: URL): boolean {
  return isLoopback(from.hostname) && isLoopback(to.hostname) && from.port === to.port;
}

export function withoutFragment(url: URL): string {
  return url.origin + url.pathname + url.search;
}
