import type { HealthFact } from '../lib/report.js';
import { memoryLedger, openRequests } from '../lib/request-budget.js';
import { type Counted, checkFact, type HealthOptions, type HealthTarget } from './check-health.js';
import { checksOf } from './checks.js';
import { tryCheck } from './try-check.js';

/** The part of a deploy's requests that looks may use; the rest is for those that prove the version that stays. */
const PART_FOR_LOOKS = 2 / 3;

/**
 * Asks each path once, all at the same time; what is not good is not asked again. Scripts and styles are left alone.
 * Undefined where too few requests are left for that. @throws Cancelled when the signal fires
 */
export async function lookOnce(
  target: HealthTarget,
  health: HealthOptions,
  { signal, counted }: { signal: AbortSignal; counted: Counted | undefined },
): Promise<HealthFact[] | undefined> {
  const checks = checksOf(target, { ...health, checkAssets: false }, NO_ASSETS);
  const requests = counted && openRequests(counted.ledger, counted.budget, counted.budget.limit);
  const kept = counted ? Math.ceil(counted.budget.limit * (1 - PART_FOR_LOOKS)) : 0;
  if (requests && requests.left() < checks.length + kept) return undefined;
  const facts = await Promise.all(
    checks.map(async (check) => {
      const tried = await tryCheck(check, {
        timeout: () => health.timeout,
        signal,
        requests,
        // Counted above, all together.
        essential: () => true,
      });
      if (tried === undefined) return [];
      const { look } = tried;
      const result = { name: check.name, ok: look.ok, attempts: 1, good: look.ok ? 1 : 0, look };
      return [checkFact(target.from, { ...result, milliseconds: look.timings?.total ?? 0 })];
    }),
  );
  return facts.flat();
}

const NO_ASSETS = { known: () => memoryLedger().assets(''), add: () => {}, left: () => 0 };
