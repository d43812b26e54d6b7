import { PAGE_INSTEAD } from '../../http/judge-answer.js';
import type { HealthFact, Problem } from '../../lib/report.js';
import { askLoopback } from '../host/loopback-health.js';
import { SPEAKS_TLS, speaksTls } from '../host/port.js';
import type { HealthRequest } from '../protocol.js';
import type { HostState } from './host-state.js';

/**
 * What the live version says of the checks. `tells`: it passes them. `down`: it is not up, or sick; whatever comes is the
 * repair. `deaf`: it is up, and they can never tell that, of no version.
 */
export type LiveVerdict =
  | { kind: 'tells' }
  | { kind: 'down'; why: string }
  | { kind: 'deaf'; check: HealthFact };

/** Judges what the live version answered. Scripts and styles follow their page. Pure. */
export function judgeLive(facts: readonly HealthFact[]): LiveVerdict {
  const failed = facts.filter(({ ok }) => !ok);
  const paths = failed.filter(({ name }) => name !== 'assets');
  const sick = (paths.length > 0 ? paths : failed).find((fact) => !isDeaf(fact));
  if (sick !== undefined) return { kind: 'down', why: wordsOf(sick) };
  const [check] = paths;
  return check === undefined ? { kind: 'tells' } : { kind: 'deaf', check };
}

/** True for an answer of a program that is up and has nothing there that could tell how it is. */
function isDeaf({ fault, status, detail }: HealthFact): boolean {
  if (fault === 'redirect' || fault === 'tls') return true;
  if (fault === 'status') return status !== null && status >= 400 && status <= 499;
  return fault === 'body' && detail?.includes(PAGE_INSTEAD) === true;
}

function wordsOf({ name, detail, status }: HealthFact): string {
  return `${name} ${detail ?? (status === null ? 'gives no answer' : `answers ${status}`)}`;
}

/** Why a version that is not rehearsed must not go live: nothing would show whether it works. Pure. */
export function provesNothing(check: HealthFact, notRehearsedWhy: string): Problem {
  return {
    message: `Nothing could prove the new version: it is not rehearsed (${notRehearsedWhy}), and of the live one, which is up, ${wordsOf(check)}.`,
    next: `${check.next ?? 'Name in health-paths what answers 2xx when all is well (health-paths: /).'} Look too whether health-port is its port.`,
  };
}

/** The checks that the live version passed before anything was changed are all that it can be held to afterwards. Pure. */
export function heldTo(health: HealthRequest, before: readonly HealthFact[] | undefined): HealthRequest {
  const except = (before ?? []).filter(({ ok }) => !ok).map(({ name }) => name);
  return except.length === 0 ? health : { ...health, except };
}

/** True where no path of the live version was good: it has nothing to prove when it is put back. Pure. */
export function wasDown(before: readonly HealthFact[] | undefined): boolean {
  return before?.some(({ name, ok }) => ok && name !== 'assets') === false;
}

/** Milliseconds that the live version is given; what it does not answer by then it does not answer. */
const LONGEST_LOOK = 5_000;

/** Milliseconds that a handshake may take. */
const LONGEST_HANDSHAKE = 1_000;

/** A connection that is closed without an answer is that of a sick program, unless it waits for another language. */
async function knowTls(port: number, facts: HealthFact[]): Promise<HealthFact[]> {
  const isCut = ({ fault }: HealthFact): boolean => fault === 'cut';
  if (!facts.some(isCut) || !(await speaksTls(port, LONGEST_HANDSHAKE))) return facts;
  const next = 'Leave TLS to the web server in front of it, at least on loopback.';
  return facts.map((fact) => (isCut(fact) ? { ...fact, fault: 'tls', detail: SPEAKS_TLS, next } : fact));
}

/** Asks the live version each check until it is good once; undefined where nothing is live, or its port is not known. */
export async function askLive(
  { facts: { liveSha, port } }: Pick<HostState, 'facts'>,
  health: HealthRequest,
  signal: AbortSignal,
): Promise<HealthFact[] | undefined> {
  if (liveSha === undefined || port === undefined) return undefined;
  const { facts } = await askLoopback({
    port,
    health: { ...health, once: true, successes: 1, deadline: Math.min(health.deadline, LONGEST_LOOK) },
    version: liveSha,
    expectVersion: false,
    signal,
  });
  return await knowTls(port, facts);
}
