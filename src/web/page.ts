import { isHtml } from './judge-body.js';
import type { Ask } from './poll.js';
import { decideRedirect, publicOrigin, type RedirectDecision, withoutFragment } from './redirects.js';
import { type Answer, get } from './request.js';

/** Where an application is asked: the public URL from the runner, or loopback on its own server. */
export interface Target {
  /** Without a slash at the end; the health paths follow it. */
  baseUrl: string;
  from: 'runner' | 'vps';
  /**
   * The path below which the proxy in front of the application has it (`/shop`): the application may answer there, or
   * without it, where the proxy takes it away.
   */
  basePath?: string;
  /** The origin of health-url, for an application that is asked on loopback: it is the same application. */
  publicOrigin?: string;
}

/** Bytes of a page or health answer that are read. */
export const BODY_LIMIT = 1_048_576;

/** A page that was found, after the redirects that may be followed. */
export interface Page {
  url: URL;
  answer: Answer;
  /** The public origin that an application on loopback wants to be asked as. */
  behindProxy?: URL | undefined;
  /** Why a redirect was not followed. */
  refused?: Exclude<RedirectDecision, { follow: URL }>;
}

/** The answer of a path below the base path; without it where the application knows no such path there. */
export async function findPage(target: Target, path: string, endpoint: boolean, ask: Ask): Promise<Page> {
  const { basePath } = target;
  const below = await getPage(target, path, basePath ?? '', ask);
  if (basePath === undefined || !isElsewhere(below, endpoint)) return below;
  const bare = await getPage(target, path, '', ask);
  return isElsewhere(bare, endpoint) ? below : bare;
}

/** True for what an application answers to a path that is not its own: not found, elsewhere, its page for everything. */
function isElsewhere({ answer, refused }: Page, endpoint: boolean): boolean {
  return (
    refused !== undefined ||
    [401, 403, 404, 405].includes(answer.status) ||
    (endpoint && isHtml(answer.headers['content-type'], answer.body.toString('utf8')))
  );
}

/**
 * The answer of a path; redirects are followed as the rules allow, in one try together. On the server's loopback an
 * application that sends its callers to its public address is asked there as its proxy would ask.
 */
async function getPage(target: Target, path: string, below: string, ask: Ask): Promise<Page> {
  let url = new URL(target.baseUrl + below + path);
  let behindProxy: URL | undefined;
  const visited: string[] = [];
  for (;;) {
    const answer = await get(url, {
      timeout: ask.timeout(),
      bodyLimit: BODY_LIMIT,
      signal: ask.signal,
      headers: proxyHeaders(behindProxy),
    });
    if (![301, 302, 303, 307, 308].includes(answer.status)) return { url, answer, behindProxy };
    const { location } = answer.headers;
    if (target.from === 'vps' && behindProxy === undefined) {
      behindProxy = publicOrigin(url, location);
      if (behindProxy !== undefined) continue;
    }
    const known = behindProxy?.origin ?? (target.from === 'vps' ? target.publicOrigin : undefined);
    const decision = decideRedirect(url, location, visited, path === '/', known);
    if ('refuse' in decision) return { url, answer, refused: decision };
    if (decision.asPublic) behindProxy ??= new URL(known!);
    visited.push(withoutFragment(url));
    url = decision.follow;
  }
}

/** How the proxy in front of an application asks it. */
export function proxyHeaders(origin: URL | undefined): Record<string, string> {
  if (origin === undefined) return {};
  return {
    host: origin.host,
    'x-forwarded-host': origin.host,
    'x-forwarded-proto': origin.protocol.slice(0, -1),
  };
}
