import { isLoopback } from '../lib/loopback.js';

/** Redirects of the root page that are followed at most. */
const MOST_REDIRECTS = 3;

/** `asPublic`: it led to the public origin, and is to be asked so. `next`: what a person can do about it. */
export type RedirectDecision = { follow: URL; asPublic?: true } | { refuse: string; next?: string };

/**
 * What to do with a redirect of the page at `from`. Only the root page follows any, only within our own origins, at
 * most three and never in a circle. Our own is the origin asked; on loopback also the application by another loopback
 * name, by https, or by its public origin, all of which are asked at the address of the application.
 */
export function decideRedirect(
  from: URL,
  location: string | undefined,
  visited: readonly string[],
  root: boolean,
  publicOrigin?: string,
): RedirectDecision {
  if (location === undefined) return { refuse: 'redirects without saying where to' };
  const to = resolve(location, from);
  if (to === undefined) return { refuse: 'redirects to something that is not a URL' };
  const asPublic = isPublic(from, to, publicOrigin);
  if (asPublic || isLoopbackItself(from, to)) {
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
  if (visited.includes(withoutFragment(to)) || withoutFragment(to) === withoutFragment(from))
    return { refuse: 'redirects in a circle' };
  if (visited.length >= MOST_REDIRECTS) return { refuse: `redirects more than ${MOST_REDIRECTS} times` };
  return asPublic ? { follow: to, asPublic } : { follow: to };
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

/** Over http too: behind its proxy an application does not always know that it is asked over https. */
function isPublic(from: URL, to: URL, publicOrigin: string | undefined): boolean {
  return publicOrigin !== undefined && isLoopback(from.hostname) && to.host === new URL(publicOrigin).host;
}

function isLoopbackItself(from: URL, to: URL): boolean {
  return isLoopback(from.hostname) && isLoopback(to.hostname) && from.port === to.port;
}

/** The address of a URL without its fragment, which is not sent. */
export function withoutFragment(url: URL): string {
  return url.origin + url.pathname + url.search;
}
