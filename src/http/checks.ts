import { definedOnly } from '../lib/defined-only.js';
import type { Assets } from './ask-assets.js';
import { assetsCheck } from './asset-check.js';
import type { Ask, Check, TryResult } from './check.js';
import { type HealthTarget, type Page, type PageFinder, pageFinder } from './find-page.js';
import { isEndpoint, judgeAnswer } from './judge-answer.js';
import { limitedLook, looking } from './looking.js';
import { newestPage } from './newest-page.js';
import { NoAnswer } from './request.js';

/** What is asked, and for how long. Has the shape of the worker's health request. */
export interface HealthOptions {
  readonly paths: readonly string[];
  /** Milliseconds, per request. */
  readonly timeout: number;
  /** Milliseconds. */
  readonly deadline: number;
  readonly successes: number;
  /** A check that was good is not asked again: for a look that must not take long. */
  readonly once?: boolean;
  readonly checkAssets: boolean;
  readonly expectVersion?: string;
  /** The commit that should be serving, as hex digits; an answer of the last path that names another is unhealthy. */
  readonly expectSha?: string;
  /** Names of checks that are left out. */
  readonly except?: readonly string[];
}

/** The checks of one vantage point: each path by its name, and the assets of a page. */
export function checksOf(target: HealthTarget, health: HealthOptions, assets: Assets): Check[] {
  const finder = pageFinder(target);
  const page = health.checkAssets ? assetsPage(health) : undefined;
  const shown = newestPage();
  const checks: Check[] = health.paths.map((path) => ({
    name: path,
    ask: (ask) => askPath(finder, path, health, ask, path === page ? shown.put : () => {}),
  }));
  if (page !== undefined)
    checks.push({ name: 'assets', ask: assetsCheck({ target, path: page, finder, shown, assets }) });
  return checks.filter(({ name }) => !health.except?.includes(name));
}

/** The page whose scripts and styles are asked for: `/`, else the first path that is no endpoint. */
export function assetsPage(health: Pick<HealthOptions, 'paths'>): string | undefined {
  if (health.paths.includes('/')) return '/';
  return health.paths.find((path) => !isEndpoint({ path, last: isLast(path, health) }));
}

function isLast(path: string, { paths }: Pick<HealthOptions, 'paths'>): boolean {
  return path === paths[paths.length - 1];
}

/** Asks for a path; `show` is given the page that was found, or why there was no answer. */
async function askPath(
  finder: PageFinder,
  path: string,
  health: HealthOptions,
  ask: Ask,
  show: (page: Page | NoAnswer) => void,
): Promise<TryResult> {
  return looking(async () => {
    const endpoint = isEndpoint({ path, last: isLast(path, health) });
    const page = await finder.find(path, endpoint, ask).catch((error: unknown) => {
      if (error instanceof NoAnswer) show(error);
      throw error;
    });
    show(page);
    const { status, timings, certificateDays } = page.answer;
    return { ...judgePage(page, path, health), status, timings, ...definedOnly({ certificateDays }) };
  });
}

/** Whether what a path answered is healthy, and what to do where it is not. Pure. */
function judgePage(
  { answer, refused }: Page,
  path: string,
  health: HealthOptions,
): Omit<TryResult, 'status'> {
  if (answer.status === 429) return limitedLook(answer);
  if (refused !== undefined) {
    const { refuse, next } = refused;
    return {
      ok: false,
      fault: 'redirect',
      detail: `answers ${answer.status} and ${refuse}`,
      ...definedOnly({ next }),
    };
  }
  const judged = judgeAnswer(answer, { ...health, path, last: isLast(path, health) });
  if (answer.status !== 404 || path === '/') return judged;
  return {
    ...judged,
    next: `Does the application have ${path}? If not, leave it out of health-paths (health-paths: /).`,
  };
}
