import { definedOnly } from '../lib/defined-only.js';
import type { TryResult } from './check.js';
import { type HttpAnswer, NoAnswer } from './request.js';

/** Milliseconds that are waited after a 429 at least, whatever the server says. */
const SHORTEST_RETRY = 1_000;

/** An answer of 429, with how long it asks to wait: seconds, or a date, which the server's own clock is needed for. */
export function limitedLook({ headers }: Pick<HttpAnswer, 'headers'>): TryResult & { status: 429 } {
  const asked = headers['retry-after'];
  const seconds = asked !== undefined && /^\d{1,7}$/.test(asked.trim()) ? Number(asked) * 1_000 : undefined;
  const until = Date.parse(asked ?? '') - Date.parse(headers.date ?? '');
  const after = seconds ?? (Number.isNaN(until) ? undefined : until);
  return {
    ok: false,
    status: 429,
    fault: 'status',
    detail: 'answers 429 (too many requests)',
    limited: after === undefined ? {} : { after: Math.max(SHORTEST_RETRY, after) },
  };
}

/** Runs one try; where no answer came, what was found says why. @throws every error but NoAnswer. */
export async function looking(work: () => Promise<TryResult>): Promise<TryResult> {
  try {
    return await work();
  } catch (error) {
    if (!(error instanceof NoAnswer)) throw error;
    return {
      ok: false,
      status: null,
      fault: error.fault,
      detail: error.message,
      timings: error.timings,
      ...(isLasting(error) ? { lasting: 'likely' as const } : {}),
      ...definedOnly({ certificateDays: error.certificateDays }),
    };
  }
}

/** True for what waiting does not cure: a certificate that is refused, no way there, a name that does not exist. */
export function isLasting({ certificateDays, fault, code }: NoAnswer): boolean {
  return certificateDays !== undefined || fault === 'route' || code === 'ENOTFOUND';
}
