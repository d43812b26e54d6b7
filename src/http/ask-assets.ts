import { definedOnly } from '../lib/defined-only.js';
import type { HealthFault } from '../lib/report.js';
import { judgeAsset, MOST_ASSETS } from './assets.js';
import { type Ask, NoTurn } from './check.js';
import type { HealthTarget } from './find-page.js';
import { type HttpAnswer, NoAnswer } from './request.js';

/** Scripts and styles asked for at a time, and bad ones that are asked for again in one try. */
const ASSETS_AT_A_TIME = 8;
const BAD_ASKED_AGAIN = 4;

/** Scripts and styles that are asked for in one round of checks where requests are counted. */
export const ASSETS_A_ROUND = 8;

/** What is known of a version's scripts and styles; each is asked for once. */
export interface Assets {
  known(): ReadonlySet<string>;
  add(path: string): void;
  /** How many may be asked for now. */
  left(): number;
}

/** A script or style that did not answer well. */
export interface BadAsset {
  url: URL;
  status: number | null;
  fault: HealthFault;
  why: string;
}

/** What came of asking for the scripts and styles of a page. */
export interface AskedAssets {
  /** In the order of the page. */
  bad: BadAsset[];
  /** Those for which the budget has no request. */
  unasked: number;
  /** The answer that said that there are too many requests. */
  limited?: Pick<HttpAnswer, 'headers'>;
}

/**
 * Asks for those of `all` that were not good yet, as far as the budget allows, several at a time. `headers` go with each
 * request. After a 429, and after the fourth bad one, no more are asked.
 */
export async function askAssets(
  all: readonly URL[],
  target: HealthTarget,
  headers: Record<string, string>,
  assets: Assets,
  ask: Ask,
): Promise<AskedAssets> {
  const known = assets.known();
  const fresh = all.filter((url) => !known.has(urlPath(url)));
  const chosen = spread(fresh, Math.min(MOST_ASSETS, Math.max(0, assets.left())));
  const bad: BadAsset[] = [];
  let next = 0;
  let outOfTurn = 0;
  let limited: HttpAnswer | undefined;
  async function work(): Promise<void> {
    for (let url = chosen[next++]; url !== undefined; url = chosen[next++]) {
      if (limited !== undefined || bad.length >= BAD_ASKED_AGAIN) {
        outOfTurn += 1;
        continue;
      }
      const asked = await askAsset(url, target, headers, ask);
      if (asked === 'good') assets.add(urlPath(url));
      else if (asked === 'no-turn') outOfTurn += 1;
      else if ('limited' in asked) limited = asked.limited;
      else bad.push({ url, ...asked });
    }
  }
  await Promise.all(Array.from({ length: ASSETS_AT_A_TIME }, work));
  return {
    bad: bad.sort((a, b) => all.indexOf(a.url) - all.indexOf(b.url)),
    unasked: fresh.length - chosen.length + outOfTurn,
    ...definedOnly({ limited }),
  };
}

/** What a script or style is remembered by. */
export function urlPath(url: URL): string {
  return url.pathname + url.search;
}

/** At most `most` of them, from the first to the last. */
function spread<T>(all: readonly T[], most: number): T[] {
  if (all.length <= most) return [...all];
  return Array.from({ length: most }, (_, index) => all[Math.floor((index * all.length) / most)]!);
}

type AssetAsked = 'good' | 'no-turn' | { limited: HttpAnswer } | Omit<BadAsset, 'url'>;

/** Also as the application has it behind a proxy that takes the base path away. */
async function askAsset(
  url: URL,
  target: HealthTarget,
  headers: Record<string, string>,
  ask: Ask,
): Promise<AssetAsked> {
  const asked = await askAssetOnce(url, headers, ask);
  const bare = withoutBase(url, target.basePath);
  if (bare === undefined || typeof asked === 'string' || 'limited' in asked) return asked;
  const again = await askAssetOnce(bare, headers, ask);
  return again === 'good' ? again : asked;
}

async function askAssetOnce(url: URL, headers: Record<string, string>, ask: Ask): Promise<AssetAsked> {
  try {
    const answer = await ask.get(url, { bodyLimit: 0, headers });
    if (answer.status === 429) return { limited: answer };
    const why = judgeAsset(answer);
    return why === undefined ? 'good' : { status: answer.status, fault: 'assets', why };
  } catch (error) {
    if (error instanceof NoTurn) return 'no-turn';
    if (!(error instanceof NoAnswer)) throw error;
    return { status: null, fault: error.fault, why: error.message };
  }
}

/** The same asset as the application has it behind a proxy that takes the base path away. */
function withoutBase(url: URL, basePath: string | undefined): URL | undefined {
  if (basePath === undefined || !url.pathname.startsWith(`${basePath}/`)) return undefined;
  const bare = new URL(url);
  bare.pathname = url.pathname.slice(basePath.length);
  return bare;
}
