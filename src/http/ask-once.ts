import type { HealthFact } from '../lib/report.js';
import { memoryLedger, openRequests } from '../lib/request-budget.js';
import { type Counted, checkFact } from './check-health.js';
import { checksOf, type HealthOptions } from './checks.js';
import type { HealthTarget } from './find-page.js';
import { tryCheck } from './try-check.js';

export interface OneLook {
  path: string;
  /** Milliseconds. */
  timeout: number;
  signal: AbortSignal;
  counted: Counted | undefined;
}

/**
 * Asks one path once. Undefined where that is no verdict: no request is left, or the application answers that it was asked
 * too often. @throws Cancelled when the signal fires
 */
export async function askOnce(
  target: HealthTarget,
  health: HealthOptions,
  { path, timeout, signal, counted }: OneLook,
): Promise<HealthFact | undefined> {
  const noAssets = { known: () => new Set<string>(), add: () => {}, left: () => 0 };
  const [check] = checksOf(target, { ...health, paths: [path], checkAssets: false }, noAssets);
  if (check === undefined) return undefined;
  const requests = openRequests(
    counted?.ledger ?? memoryLedger(),
    counted?.budget ?? { run: '', limit: 1, window: 1 },
    1,
  );
  const tried = await tryCheck(check, {
    timeout: () => timeout,
    signal,
    requests,
    essential: () => false,
  });
  if (tried === undefined || tried.look.limited !== undefined) return undefined;
  const { look } = tried;
  const { ok } = look;
  return checkFact(target.from, {
    name: check.name,
    ok,
    attempts: 1,
    good: ok ? 1 : 0,
    milliseconds: look.timings?.total ?? 0,
    look,
  });
}
