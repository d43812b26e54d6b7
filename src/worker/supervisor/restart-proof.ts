import { type Shown, shows } from '../../http/answered-version.js';
import { Failure, type Problem } from '../../lib/report.js';
import { pause } from '../../lib/retry.js';
import { askLoopbackVersion } from '../host/loopback-health.js';
import { commandOf, programsBehind } from '../host/processes.js';
import type { HealthRequest } from '../protocol.js';
import type { Versions } from './supervisor.js';

/** Which version the answers name. */
export type Answered = 'new' | 'old' | 'neither';

/**
 * Who is behind the port. `new`: a program that was not there before, and stays. `old`: those that were there before,
 * and no others. `unclear`: they cannot be seen, or the new ones do not stay.
 */
export type Behind = 'new' | 'old' | 'unclear';

/** Whether the application was restarted. One proof is enough; a graceful reload keeps the program that listens. Pure. */
export function judgeRestart(answered: Answered, behind: Behind): 'restarted' | 'not-restarted' | 'unknown' {
  if (answered === 'new' || behind === 'new') return 'restarted';
  return answered === 'old' && behind === 'old' ? 'not-restarted' : 'unknown';
}

/** Pure. */
export function judgeAnswered(shown: Shown, { to, from }: Versions): Answered {
  if (shows(shown, to)) return 'new';
  return shows(shown, from) ? 'old' : 'neither';
}

/** Judges two looks, some time apart; undefined: nothing could be seen. Pure. */
export function judgeBehind(
  before: ReadonlySet<string>,
  earlier: ReadonlySet<string> | undefined,
  now: ReadonlySet<string> | undefined,
): Behind {
  if (now === undefined || now.size === 0) return 'unclear';
  const fresh = [...now].filter((program) => !before.has(program));
  if (fresh.length === 0) return 'old';
  return fresh.some((program) => earlier?.has(program)) ? 'new' : 'unclear';
}

export interface ProofOptions {
  port: number;
  health: HealthRequest;
  /** The programs behind the port before the restart. */
  before: { programs: ReadonlySet<string> };
  versions: Versions;
  /** Told once where it has to be waited for. */
  tell?: ((text: string) => void) | undefined;
}

export interface Proof {
  verdict: ReturnType<typeof judgeRestart>;
  answered: Answered;
  behind: Behind;
  looks: number;
}

/** Milliseconds between looks: a program that is there at two of them stays. */
const BETWEEN_LOOKS = 1_000;
/** Milliseconds for a graceful reload to show new programs, where the answers name no version. */
const PATIENCE = 10_000;

/** Looks again and again until it is proven that the application was restarted, or that is hopeless. */
export async function awaitProof({ port, health, before, versions, tell }: ProofOptions): Promise<Proof> {
  const started = performance.now();
  const { signal } = new AbortController();
  let earlier: ReadonlySet<string> | undefined;
  for (let looks = 1; ; looks++) {
    const now = programsBehind(port);
    const answered = judgeAnswered(await askLoopbackVersion(port, health, signal), versions);
    const behind = judgeBehind(before.programs, earlier, now);
    const verdict = judgeRestart(answered, behind);
    const waited = performance.now() - started;
    // The old version may be answering until the new one is ready; without a version in the answers only programs tell.
    const patience =
      answered === 'old' ? health.deadline : now === undefined ? 0 : Math.min(PATIENCE, health.deadline);
    if (verdict === 'restarted' || waited >= patience) return { verdict, answered, behind, looks };
    if (looks === 1) tell?.(`restart-command has ended; waiting for a new program behind port ${port}`);
    earlier = now;
    await pause(BETWEEN_LOOKS);
  }
}

export function restartedNothing(port: number): Failure {
  const [program] = programsBehind(port) ?? [];
  const pid = Number(program?.split(':')[0]);
  const who = Number.isNaN(pid) ? '' : ` (pid ${pid}: ${(commandOf(pid) ?? '?').slice(0, 120)})`;
  return new Failure({
    message: `restart-command ended with 0 and restarted nothing: every program behind port ${port} is older than the cutover${who}, and the answers are still those of the other version.`,
    next: 'Run restart-command by hand on the server: it has to restart what listens on that port.',
  });
}

/** What a person is told where it went well as far as can be seen. */
export function unprovenRestart(
  port: number,
  { answered, behind }: Pick<Proof, 'answered' | 'behind'>,
): Problem {
  const why =
    behind === 'old'
      ? `every program behind port ${port} is older than the cutover`
      : `the programs behind port ${port} cannot be seen, or do not stay`;
  const answers = answered === 'old' ? 'are still those of the other version' : 'name no version';
  return {
    message: `It is not proven that restart-command restarted the application: ${why}, and the answers ${answers}.`,
    next: 'Let the last of health-paths answer with the commit (it stands in the file REVISION, and in DEPLOY_SHA while it is built), or set expect-version.',
  };
}
