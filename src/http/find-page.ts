import type { Ask } from './check.js';
import { isHtml } from './judge-answer.js';
import { decideRedirect, publicOrigin, type RedirectDecision, withoutFragment } from './redirects.js';
import type { HttpAnswer } from './request.js';

/** Where an application is asked: the public URL from the runner, or loopback on its own server. */
export interface HealthTarget {
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
  answer: HttpAnswer;
  /** The public origin that an application on loopback wants to be asked as. */
  behindProxy?: URL | undefined;
  /** Why a redirect was not followed. */
  refused?: Exclude<RedirectDecision, { follow: URL }>;
}

/** One way to ask for a path: below the proxy's path or without it, by the plain name or as the proxy asks. */
interface Way {
  below: string;
  as?: URL;
}

/** What was learned about a path. */
interface KnownPath {
  /** The way on which the application knows the path. */
  way?: Way;
  /** Where its redirects ended well. */
  end?: Pick<Page, 'url' | 'behindProxy'>;
  /** What the plain way gave where none is known, and how often it was looked for. */
  plain?: Page;
  tries: number;
}

/** Asks for the paths of one application, and remembers how each was found. */
export interface PageFinder {
  /**
   * The answer of a path; `endpoint`: a health answer is expected and no page.
   * @throws what `ask.get` throws.
   */
  find(path: string, endpoint: boolean, ask: Ask): Promise<Page>;
}

/**
 * Asks for the paths of an application on the ways that it may know them: below the base path, without it, and, where the
 * plain name of loopback is refused, as its proxy asks. All ways are tried at first, then one after the other, until one
 * is known: that one is used from then on, and redirects that ended well are not followed again.
 */
export function pageFinder(target: HealthTarget): PageFinder {
  const ways = waysOf(target);
  const paths = new Map<string, KnownPath>();

  async function explore(known: KnownPath, path: string, endpoint: boolean, ask: Ask): Promise<Page> {
    const first = known.plain === undefined;
    const chosen = known.way ? [known.way] : first ? ways : [ways[known.tries % ways.length]!];
    known.tries += 1;
    let last: Page | undefined;
    for (const way of chosen) {
      const page = await getPage(target, path, way, ask);
      last = page;
      if (!isElsewhere(page, endpoint)) {
        if (page.answer.status !== 429) known.way = way;
        if (isGoodPage(page)) known.end = page;
        return page;
      }
      if (way === ways[0]) known.plain = page;
    }
    const wasKnown = known.way !== undefined;
    delete known.way;
    return wasKnown ? last! : known.plain!;
  }

  return {
    async find(path, endpoint, ask) {
      const known = paths.get(path) ?? { tries: 0 };
      paths.set(path, known);
      if (known.end === undefined) return explore(known, path, endpoint, ask);
      const { url, behindProxy } = known.end;
      const page: Page = { url, behindProxy, answer: await request(url, behindProxy, ask) };
      // The next try begins at the path itself again.
      if (!isGoodPage(page) && page.answer.status !== 429) delete known.end;
      return page;
    },
  };
}

function waysOf({ from, basePath, publicOrigin }: HealthTarget): Way[] {
  const places = basePath === undefined ? [''] : [basePath, ''];
  const plain = places.map((below): Way => ({ below }));
  if (from !== 'vps' || publicOrigin === undefined) return plain;
  return [...plain, ...places.map((below): Way => ({ below, as: new URL(publicOrigin) }))];
}

function isGoodPage({ answer: { status }, refused }: Page): boolean {
  return refused === undefined && status >= 200 && status <= 299;
}

/**
 * True for what an application answers to a path, or under a name, that is not its own: a request that it does not
 * take, not found, elsewhere, its page for everything.
 */
function isElsewhere({ answer, refused }: Page, endpoint: boolean): boolean {
  return (
    refused !== undefined ||
    [400, 401, 403, 404, 405, 421].includes(answer.status) ||
    (endpoint && isHtml(answer.headers['content-type'], answer.body.toString('utf8')))
  );
}

/**
 * The answer of a path; redirects are followed as the rules allow, in one try together. On the server's loopback an
 * application that sends its callers to its public address is asked there as its proxy would ask.
 */
async function getPage(target: HealthTarget, path: string, way: Way, ask: Ask): Promise<Page> {
  let url = new URL(target.baseUrl + way.below + path);
  let behindProxy = way.as;
  const visited: string[] = [];
  for (;;) {
    const answer = await request(url, behindProxy, ask);
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

function request(url: URL, behindProxy: URL | undefined, ask: Ask): Promise<HttpAnswer> {
  return ask.get(url, { bodyLimit: BODY_LIMIT, headers: proxyHeaders(behindProxy) });
}

/** The headers with which the proxy of this public origin asks an application; none without one. */
export function proxyHeaders(origin: URL | undefined): Record<string, string> {
  if (origin === undefined) return {};
  return {
    host: origin.host,
    'x-forwarded-host': origin.host,
    'x-forwarded-proto': origin.protocol.slice(0, -1),
  };
}
