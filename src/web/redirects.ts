import { isLoopback } from '../base/loopback.js';

/** Redirects of the root page that are followed at most. */
const MOST_REDIRECTS = 3;

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

/** `next`: what a person can do about it. */
export type RedirectDecision = { follow: URL } | { refuse: string; next?: string };

/**
 * What to do with a redirect of the page at `from`. Only the root page follows any, only to the same origin, at
 * most three, never to a login page and never in a circle. On loopback the application may name itself by another
 * loopback name, by https, or by its public origin (`known as`): such a redirect is followed on the address asked.
 */
export function decideRedirect(
  from: URL,
  location: string | undefined,
  visited: readonly string[],
  root: boolean,
  knownAs?: string,
): RedirectDecision {
  if (location === undefined) return { refuse: 'redirects without saying where to' };
  const to = resolve(location, from);
  if (to === undefined) return { refuse: 'redirects to something that is not a URL' };
  if (to.origin === knownAs || isLoopbackItself(from, to)) {
    to.protocol = from.protocol;
    to.host = from.host;
  }
  // The query may hold a token and the host may be a secret: only the path is told, and only of the same origin.
  if (to.origin !== from.origin) {
    return to.hostname === from.hostname && to.protocol !== from.protocol
      ? {
          refuse: `redirects to ${to.protocol}//; give health-url so`,
          next: `Set health-url to ${to.protocol}//…, as the application wants to be asked.`,
        }
      : { refuse: 'redirects to another origin' };
  }
  if (!root) return { refuse: `redirects to ${to.pathname}; ask for that path itself` };
  if (isLoginPath(to.pathname)) return { refuse: `redirects to a login page, ${to.pathname}` };
  if (visited.includes(withoutFragment(to)) || withoutFragment(to) === withoutFragment(from))
    return { refuse: 'redirects in a circle' };
  if (visited.length >= MOST_REDIRECTS) return { refuse: `redirects more than ${MOST_REDIRECTS} times` };
  return { follow: to };
}

/**
 * The public origin to which an application on loopback sends a caller for the very same path (https enforced, one
 * canonical host name), or undefined. Asked as its proxy asks, with that host, it answers the page itself.
 */
export function publicOrigin(from: URL, location: string | undefined): URL | undefined {
  if (location === undefined || !isLoopback(from.hostname)) return undefined;
  const to = resolve(location, from);
  if (to === undefined || (to.protocol !== 'https:' && to.protocol !== 'http:')) return undefined;
  const samePath = to.pathname === from.pathname && to.search === from.search;
  return samePath && to.origin !== from.origin ? new URL(to.origin) : undefined;
}

function resolve(location: string, from: URL): URL | undefined {
  try {
    return new URL(location, from);
  } catch {
    return undefined;
  }
}

function isLoopbackItself(from: URL, to: URL): boolean {
  return isLoopback(from.hostname) && isLoopback(to.hostname) && from.port === to.port;
}

export function withoutFragment(url: URL): string {
  return url.origin + url.pathname + url.search;
}
