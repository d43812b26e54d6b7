import { formatDuration } from '../../lib/duration.js';
import { Cancelled, type HealthFact, problemsOf } from '../../lib/report.js';
import { pause } from '../../lib/retry.js';
import { lookAtLoopback } from '../host/loopback-health.js';
import type { HostState } from '../host-state/host-state.js';
import { askLive, judgeLive } from '../host-state/live-version.js';
import type { HealthRequest } from '../protocol.js';
import type { Reporter } from './reporter.js';

/** Milliseconds from the commit at which the live version is asked first, whatever it answers. */
const FIRST_LOOKS = [0, 500, 1_000, 2_000];
/** Milliseconds between two later looks: while it is well, and while it is not and three answers are to decide. */
const BETWEEN_GOOD = 10_000;
const BETWEEN_BAD = 1_500;

/** Milliseconds after the commit at which the live version is asked next. `last`: when it was last. Pure. */
export function nextLook(last: number, wasGood: boolean): number {
  const early = FIRST_LOOKS.find((at) => at > last);
  return early ?? last + (wasGood ? BETWEEN_GOOD : BETWEEN_BAD);
}

/** The live version, asked while the database changes below it. Never throws. */
export interface LiveLooks {
  /** Asks it as it is before the change, and tells that. Once per word: an answer that is a moment old tells nothing. */
  before(): Promise<void>;
  /** Asks it from now on, again and again, and tells each answer; without effect where it does so already. */
  begin(): void;
  /** Ends that. */
  end(): void;
  /** What it answered when it was asked last before the change. */
  readonly baseline: readonly HealthFact[] | undefined;
}

/** Why the live version is not asked; undefined where it is. Pure. */
export function whyNotAsked({ liveSha, port }: { liveSha?: string; port?: number }): string | undefined {
  if (liveSha === undefined) return 'this is the first deploy';
  return port === undefined ? 'its port is not known' : undefined;
}

/** Makes it; nothing is asked before it is told to. */
export function liveLooks(
  found: Pick<HostState, 'facts'>,
  health: HealthRequest,
  { reporter, signal }: { reporter: Pick<Reporter, 'event' | 'progress'>; signal: AbortSignal },
): LiveLooks {
  const over = new AbortController();
  const either = AbortSignal.any([signal, over.signal]);
  const unasked = whyNotAsked(found.facts);
  const { port, liveSha: version } = found.facts;
  let baseline: HealthFact[] | undefined;
  let begun = false;
  // Whatever keeps it from being asked is no reason to stop a deploy.
  const unlessFailed = async <T>(work: () => Promise<T>): Promise<T | undefined> => {
    try {
      return await work();
    } catch (error) {
      if (!(error instanceof Cancelled))
        reporter.progress(`the live version could not be asked: ${problemsOf(error)[0]!.message}`);
      return undefined;
    }
  };
  const askOn = async (): Promise<void> => {
    if (port === undefined || unasked !== undefined) return;
    const started = performance.now();
    for (let at = 0; !either.aborted; ) {
      await pause(Math.max(0, at - (performance.now() - started)), either);
      const after = Math.round(performance.now() - started);
      const asking = { port, health, signal: either, ...(version === undefined ? {} : { version }) };
      const facts = await lookAtLoopback(asking);
      if (facts === undefined) {
        reporter.progress(
          `the live version is asked no more after ${formatDuration(after)}: its requests are used up`,
        );
        return;
      }
      reporter.event({ kind: 'live', after, health: facts });
      at = nextLook(
        after,
        facts.every(({ ok }) => ok),
      );
    }
  };
  return {
    async before() {
      if (unasked !== undefined)
        reporter.progress(`the live version is not asked on the new schema: ${unasked}`);
      baseline = await unlessFailed(() => askLive(found, health, either));
      const live = judgeLive(baseline ?? []);
      if (live.kind === 'down') reporter.progress(`live is down: ${live.why}. This deploy is the repair`);
      reporter.event({ kind: 'live', health: baseline ?? [] });
    },
    begin() {
      if (begun) return;
      begun = true;
      void unlessFailed(askOn);
    },
    end: () => over.abort(),
    get baseline() {
      return baseline;
    },
  };
}
