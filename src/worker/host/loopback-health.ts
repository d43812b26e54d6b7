import { askAnsweredVersion, type Shown } from '../../http/answered-version.js';
import { checkHealth, type HealthTarget } from '../../http/check-health.js';
import { lookOnce } from '../../http/look-once.js';
import { LOOPBACK } from '../../http/loopback-lookup.js';
import { tellWaiting } from '../../http/waiting-progress.js';
import { definedOnly } from '../../lib/defined-only.js';
import { Failure, type HealthFact } from '../../lib/report.js';
import { memoryLedger, openRequests, type RequestLedger } from '../../lib/request-budget.js';
import type { HealthRequest } from '../protocol.js';
import { fileLedger } from './request-ledger.js';

export interface LoopbackCheck {
  port: number;
  health: HealthRequest;
  /** The commit that must answer. */
  sha?: string;
  /** The commit that should be live, where no answer is expected to name it. */
  version?: string;
  /** False for a version that was live before: what the caller expects of the new one does not bind it. */
  expectVersion: boolean;
  signal: AbortSignal;
  /** Told now and then what is still being waited for. */
  tell?: ((text: string) => void) | undefined;
}

/** The health path and the page. */
const VERSION_REQUESTS = 2;

/** Asks the application on loopback once, by what it can be told which version answers. */
export function askLoopbackVersion(port: number, health: HealthRequest, signal: AbortSignal): Promise<Shown> {
  const { budget } = health;
  const requests = budget && openRequests(ledgerOf(budget), budget, VERSION_REQUESTS);
  return askAnsweredVersion(loopbackTarget(port, health), health, signal, requests);
}

/** The application on this host. */
export function loopbackTarget(port: number, { basePath, publicOrigin }: HealthRequest): HealthTarget {
  return { baseUrl: `http://${LOOPBACK}:${port}`, from: 'vps', ...definedOnly({ basePath, publicOrigin }) };
}

/** Asks the application on loopback until every check is good, or the deadline is over. */
export async function askLoopback(check: LoopbackCheck): Promise<{ facts: HealthFact[]; healthy: boolean }> {
  const { expectVersion, basePath: _base, publicOrigin: _origin, budget, ...health } = check.health;
  const version = check.sha ?? check.version ?? '-';
  const counted = budget && { ledger: ledgerOf(budget), budget, version };
  const waiting = tellWaiting(check.tell ?? (() => {}));
  try {
    const facts = await checkHealth(
      loopbackTarget(check.port, check.health),
      {
        ...health,
        ...(check.expectVersion && expectVersion !== undefined ? { expectVersion } : {}),
        ...definedOnly({ expectSha: check.sha }),
      },
      { signal: check.signal, onAttempt: waiting.note, ...definedOnly({ counted }) },
    );
    return { facts, healthy: facts.every(({ ok }) => ok) };
  } finally {
    waiting.stop();
  }
}

/** Asks each path once; undefined where too few requests are left. @throws Cancelled when the signal fires */
export function lookAtLoopback({
  port,
  health,
  version = '-',
  signal,
}: Pick<LoopbackCheck, 'port' | 'health' | 'version' | 'signal'>): Promise<HealthFact[] | undefined> {
  const { expectVersion: _, budget, ...asked } = health;
  const counted = budget && { ledger: ledgerOf(budget), budget, version };
  return lookOnce(loopbackTarget(port, health), asked, { signal, counted });
}

/** Where the requests to the application are counted: in a file, or for this process where the host has no place for it. */
export function ledgerOf({ ledger }: NonNullable<HealthRequest['budget']>): RequestLedger {
  return ledger === undefined ? inMemory : fileLedger(ledger);
}

const inMemory = memoryLedger();

/** The health request with the file that counts, which only the host knows. */
export function countedIn(file: string, health: HealthRequest): HealthRequest {
  return health.budget ? { ...health, budget: { ...health.budget, ledger: file } } : health;
}

/** What is wrong, by the first failed check; `next` where that check does not tell itself what to do. */
export function unhealthy(what: string, facts: readonly HealthFact[], next: string): Failure {
  const sick = facts.find(({ ok }) => !ok);
  const why =
    sick === undefined
      ? 'healthy'
      : `${sick.name}: ${sick.detail ?? (sick.status === null ? 'no answer' : `status ${sick.status}`)}`;
  return new Failure({ message: `${what}: ${why}.`, next: sick?.next ?? next });
}
