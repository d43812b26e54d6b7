import { randomBytes } from 'node:crypto';
import { definedOnly } from '../../lib/defined-only.js';
import type { Log } from '../../lib/log.js';
import { Failure, type HostFact, problemsOf } from '../../lib/report.js';
import { KEY_LENGTH } from '../../lib/seal.js';
import type { PhaseRecord } from '../../report/phase.js';
import type { RunResult, WorkerEvent } from '../../worker/protocol.js';
import { TamperedRecord } from '../run-events.js';
import { followRun, type LongRequest, onHost, sendSignal, startRun } from '../worker-client.js';
import type { Fleet, Host } from './fleet.js';

/** A state of a run, as its worker tells it. */
export type RunState = Extract<WorkerEvent, { kind: 'state' }>['state'];

/** How the live version was, as a worker tells it. */
export type LiveLook = Omit<Extract<WorkerEvent, { kind: 'live' }>, 'kind'>;

/** Where the events of a run are told. */
export interface Audience {
  log: Log;
  record: Pick<PhaseRecord, 'add'>;
  /** The state that the run has reached. */
  onState?: (state: RunState) => void;
  /** What the live version answered there. */
  onLive?: (look: LiveLook) => void;
}

/** Milliseconds around a run's own limits, for the start and the last answer. */
const AROUND = 120_000;

/** Starts a run on one host and tells its events until it has ended. */
export async function runWorker(
  fleet: Fleet,
  host: Host,
  request: LongRequest,
  audience: Audience,
): Promise<RunResult> {
  const key = randomBytes(KEY_LENGTH);
  await startRun(fleet, host, request, key);
  const { log } = audience;
  const following = followRun(fleet, host, request, {
    key,
    deadline: request.lockWait + request.timeout + AROUND,
    onEvent: (event) => reportEvent(host, event, audience),
    onDropped: (problem) => log({ kind: 'warning', problem }),
    onLost: (problem) =>
      log({
        kind: 'progress',
        text: `${problem.message}; the run goes on there, connecting again`,
      }),
  });
  return following.catch((error: unknown) => abandoned(fleet, host, request, error));
}

/** What strangers have changed is not brought to its end: the run is stopped where it has not cut over. */
async function abandoned(fleet: Fleet, host: Host, request: LongRequest, error: unknown): Promise<never> {
  if (error instanceof TamperedRecord)
    await sendSignal(fleet, host, 'cancel', request).catch(() => {
      // It goes on then, and is found by the look at the server.
    });
  throw error;
}

function reportEvent(host: Host, event: WorkerEvent, { log, record, onState, onLive }: Audience): void {
  switch (event.kind) {
    case 'progress':
      log({ kind: 'progress', text: host.prefix + event.text });
      break;
    case 'step': {
      // The server's clock may be off, so the step is dated by when it was told here.
      const { step } = event;
      record.add({ ...step, name: host.prefix + step.name, startedAt: Date.now() - step.milliseconds });
      break;
    }
    case 'output':
      log({ kind: 'output', source: host.prefix + event.source, text: event.text });
      break;
    case 'warning':
      log({ kind: 'warning', problem: onHost(host, event.problem) });
      break;
    case 'state':
      onState?.(event.state);
      break;
    case 'live':
      onLive?.(event);
      break;
    case 'started':
    case 'ended':
      break;
  }
}

const HOST_OUTCOMES: Readonly<Record<RunResult['outcome'], HostFact['outcome']>> = {
  deployed: 'deployed',
  unchanged: 'unchanged',
  'rolled-back': 'rolled-back',
  'put-back': 'rolled-back',
  failed: 'failed',
  broken: 'rollback-failed',
  cancelled: 'unchanged',
  'newer-is-live': 'skipped',
};

/** A run's result as the fact that outputs and the rollback decision read. */
export function hostFact(position: number, result: RunResult): HostFact {
  // Where the new version did not stay, what was live before is live now.
  const live = result.deployedSha ?? (result.outcome === 'broken' ? undefined : result.previousSha);
  const detail = result.outcome === 'cancelled' ? 'stopped before the cutover' : result.problems[0]?.message;
  return {
    host: position,
    outcome: HOST_OUTCOMES[result.outcome],
    ...definedOnly({
      'previous-sha': result.previousSha,
      'deployed-sha': live,
      release: result.release,
      'downtime-ms': result.downtimeMs,
      'rollback-ms': result.rollbackMs,
      rehearsed: result.rehearsed,
      detail,
    }),
  };
}

/** The fact of a host that gave no result: nothing was started there (`failed`), or it could not be found out. */
export function factOfError(
  position: number,
  error: unknown,
  failed: 'failed' | 'rollback-failed' = 'failed',
): HostFact {
  const outcome = error instanceof Failure && error.outcome === 'failed' ? failed : 'unknown';
  return { host: position, outcome, detail: problemsOf(error)[0]!.message };
}
