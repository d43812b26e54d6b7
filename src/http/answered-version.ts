import type { Requests } from '../lib/request-budget.js';
import { assetUrls } from './assets.js';
import type { Ask } from './check.js';
import { assetsPage, type HealthOptions } from './checks.js';
import { type HealthTarget, type Page, pageFinder } from './find-page.js';
import { get, NoAnswer } from './request.js';

/** By what one version of an application can be told from others in its answers. */
export interface VersionMarks {
  /** Full SHA; in an answer its first 7 digits are enough. */
  commit?: string;
  /** Texts of its own: a build id, what `expect-version` asks for. */
  texts: readonly string[];
  /** Ends of paths of files that it alone has, as `pathEnds` makes them. */
  files: ReadonlySet<string>;
}

/** What an application answered, as far as it can name a version. */
export interface Shown {
  texts: readonly string[];
  /** Paths of the scripts and styles of its page. */
  assets: readonly string[];
}

const NOTHING: Shown = { texts: [], assets: [] };

/**
 * Asks the last health path and the page with the scripts, once each; what does not answer shows nothing. `requests`
 * counts them, but does not limit them. @throws Cancelled when the signal fires.
 */
export async function askAnsweredVersion(
  target: HealthTarget,
  health: Pick<HealthOptions, 'paths' | 'timeout'>,
  signal: AbortSignal,
  requests?: Requests,
): Promise<Shown> {
  const pages = pageFinder(target);
  const ask: Ask = {
    timeout: () => health.timeout,
    signal,
    async get(url, rest) {
      requests?.begin(true);
      try {
        return await get(url, { ...rest, timeout: health.timeout, signal });
      } finally {
        requests?.end(true);
      }
    },
  };
  const last = health.paths[health.paths.length - 1];
  const page = assetsPage(health);
  const look = async (path: string | undefined, show: (found: Page) => Shown): Promise<Shown> => {
    if (path === undefined) return NOTHING;
    try {
      const found = await pages.find(path, path !== page, ask);
      const { refused, answer } = found;
      return refused === undefined && answer.status >= 200 && answer.status < 300 ? show(found) : NOTHING;
    } catch (error) {
      if (error instanceof NoAnswer) return NOTHING;
      throw error;
    }
  };
  const [told, seen] = await Promise.all([look(last, answerWords), look(page, pageOf)]);
  return { texts: [...told.texts, ...seen.texts], assets: seen.assets };
}

function answerWords({ answer }: Page): Shown {
  const headers = Object.values(answer.headers).flatMap((value) => value ?? []);
  return { texts: [answer.body.toString('utf8'), ...headers], assets: [] };
}

function pageOf(found: Page): Shown {
  const { url, behindProxy } = found;
  const { texts } = answerWords(found);
  const assets = assetUrls(texts[0]!, url, behindProxy?.origin).map(({ pathname }) => pathname);
  return { texts, assets };
}

/** True where an answer shows one of the marks. Pure. */
export function shows({ texts, assets }: Shown, { commit, texts: wanted, files }: VersionMarks): boolean {
  return (
    texts.some((text) => wanted.some((each) => text.includes(each)) || namesCommit(text, commit)) ||
    assets.some((path) => files.has(pathEnds(path)[0]!))
  );
}

function namesCommit(text: string, commit: string | undefined): boolean {
  if (commit === undefined) return false;
  const words = text.match(/(?<![0-9a-z])[0-9a-f]{7,64}(?![0-9a-z])/gi) ?? [];
  return words.some((word) => commit.startsWith(word.toLowerCase()));
}

/**
 * By what a path is found again under another root (`dist/assets/app-1.js` is served as `/assets/app-1.js`): its last two
 * names, and its last alone, which a path of the root is known by.
 */
export function pathEnds(path: string): string[] {
  const names = path.split('/').filter(Boolean);
  return [names.slice(-2).join('/'), names.slice(-1).join('/')];
}
