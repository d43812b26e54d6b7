import {
  JsonMismatch,
  jsonByKind,
  jsonFlag,
  jsonList,
  jsonNullable,
  jsonNumber,
  jsonOneOf,
  jsonOptional,
  jsonRecord,
  jsonText,
  jsonWhole,
  type ReadJson,
} from '../lib/json-shape.js';
import type { HealthFact, HealthFault, Problem, SourcePosition, Step, Timings } from '../lib/report.js';
import {
  type HostFacts,
  type HostRollbackTarget,
  type HostStatus,
  type HostWatch,
  LINE_MARK,
  type PastHostRun,
  type RunResult,
  type WatchedProgram,
  type WorkerEvent,
  type WorkerLine,
} from '../worker/protocol.js';

/** What a server sends to the action, read by its type: fields that the type does not have are dropped here. */

/** Milliseconds that something took; more than a year is no time. */
const took = jsonNumber(0, 31_536_000_000);
/** Milliseconds since the epoch, as a date can hold them. */
const time = jsonNumber(0, 8_640_000_000_000_000);
const pid = jsonWhole(1);
/** Network disks tell more than a safe integer holds, and full ones less than nothing. */
const amount = jsonNumber(-1e30, 1e30);

const position = jsonRecord<SourcePosition>({
  file: jsonText,
  line: jsonWhole(),
  column: jsonWhole(),
  text: jsonOptional(jsonText),
});
const problem = jsonRecord<Problem>({
  message: jsonText,
  code: jsonOptional(jsonText),
  at: jsonOptional(position),
  next: jsonOptional(jsonText),
});
const problems = jsonList(problem);

const step = jsonRecord<Step>({
  name: jsonText,
  outcome: jsonOneOf('passed', 'failed', 'skipped', 'unknown'),
  startedAt: time,
  milliseconds: took,
  detail: jsonOptional(jsonText),
});

const timings = jsonRecord<Timings>({
  dns: jsonNullable(took),
  connect: jsonNullable(took),
  tls: jsonNullable(took),
  'first-byte': jsonNullable(took),
  total: took,
});

const fault: ReadJson<HealthFault> = jsonOneOf(
  'dns',
  'route',
  'connect',
  'tls',
  'timeout',
  'cut',
  'status',
  'redirect',
  'body',
  'version',
  'assets',
  'query',
);

const check = jsonRecord<HealthFact>({
  name: jsonText,
  from: jsonOneOf('runner', 'vps'),
  ok: jsonFlag,
  status: jsonNullable(jsonWhole()),
  'latency-ms': jsonNullable(took),
  attempts: jsonWhole(),
  detail: jsonOptional(jsonText),
  timings: jsonOptional(timings),
  fault: jsonOptional(fault),
  next: jsonOptional(jsonText),
  'days-left': jsonOptional(jsonNumber(-100_000, 100_000)),
});

const result = jsonRecord<RunResult>({
  outcome: jsonOneOf(
    'deployed',
    'unchanged',
    'rolled-back',
    'put-back',
    'failed',
    'broken',
    'cancelled',
    'newer-is-live',
  ),
  previousSha: jsonOptional(jsonText),
  deployedSha: jsonOptional(jsonText),
  release: jsonOptional(jsonText),
  downtimeMs: jsonOptional(took),
  rollbackMs: jsonOptional(took),
  rehearsed: jsonOptional(jsonFlag),
  health: jsonOptional(jsonList(check)),
  problems,
  warnings: problems,
});

const event = jsonByKind<WorkerEvent>({
  started: { pid, at: time },
  progress: { text: jsonText },
  step: { step },
  output: { source: jsonText, text: jsonText },
  warning: { problem },
  state: {
    state: jsonOneOf(
      'waiting-for-lock',
      'preparing',
      'installed',
      'built',
      'rehearsed',
      'cutting-over',
      'verifying',
      'putting-back',
    ),
  },
  live: { after: jsonOptional(took), health: jsonList(check) },
  ended: { result },
});

const rollbackTarget = jsonByKind<HostRollbackTarget>({
  go: { to: jsonRecord({ sha: jsonText, release: jsonText }), forward: jsonFlag, runs: jsonList(jsonText) },
  nothing: { why: jsonText, runs: jsonList(jsonText), overtakenBy: jsonOptional(jsonText) },
  refused: { problem },
});

type Lock = NonNullable<HostFacts['lock']>;
const holder = jsonRecord<NonNullable<Lock['holder']>>({
  runId: jsonText,
  session: jsonOptional(jsonText),
  url: jsonOptional(jsonText),
  since: time,
  pid: jsonWhole(),
});

const host = jsonRecord<HostFacts>({
  node: jsonOptional(jsonText),
  git: jsonOptional(jsonText),
  pm2: jsonOptional(jsonText),
  layout: jsonOneOf('checkout', 'releases', 'absent', 'other'),
  strategy: jsonOneOf('in-place', 'releases', 'adopt'),
  stateFolder: jsonOptional(jsonText),
  environment: jsonOptional(jsonText),
  liveSha: jsonOptional(jsonText),
  liveRelease: jsonOptional(jsonText),
  liveRun: jsonOptional(jsonText),
  liveVerified: jsonFlag,
  newerIsLive: jsonOptional(jsonOneOf(true)),
  wayBack: jsonOptional(rollbackTarget),
  shaOnRemote: jsonOptional(jsonFlag),
  dirtyFiles: jsonList(jsonText, 100_000),
  freeBytes: amount,
  freeInodes: jsonOptional(amount),
  memoryBytes: amount,
  port: jsonOptional(jsonNumber(0, 65_535)),
  portless: jsonOptional(jsonOneOf(true)),
  entry: jsonOptional(
    jsonRecord({
      mode: jsonOneOf('cluster', 'fork'),
      instances: jsonWhole(),
      status: jsonText,
      script: jsonText,
    }),
  ),
  lock: jsonOptional(jsonRecord<Lock>({ holder: jsonOptional(holder) })),
  notRehearsedWhy: jsonOptional(jsonText),
  refusals: problems,
  deployRefusals: problems,
  warnings: problems,
});

const pastRun = jsonRecord<PastHostRun>({
  runId: jsonText,
  attempt: jsonWhole(),
  task: jsonOneOf('deploy', 'rollback'),
  outcome: jsonText,
  at: time,
  milliseconds: jsonOptional(took),
  sha: jsonOptional(jsonText),
  url: jsonOptional(jsonText),
});

const hostNow = jsonRecord<HostStatus>({
  environment: jsonOptional(jsonText),
  liveSha: jsonOptional(jsonText),
  liveRelease: jsonOptional(jsonText),
  liveSince: jsonOptional(time),
  liveRun: jsonOptional(jsonText),
  liveVerified: jsonFlag,
  process: jsonOptional(jsonText),
  cutRun: jsonOptional(jsonText),
  lock: jsonOptional(
    jsonRecord<NonNullable<HostStatus['lock']>>({
      runId: jsonText,
      url: jsonOptional(jsonText),
      since: time,
    }),
  ),
  reachable: jsonList(jsonRecord({ release: jsonText, sha: jsonText })),
  backups: jsonList(jsonRecord({ name: jsonText, bytes: amount, at: time })),
  freeBytes: amount,
  runs: jsonList(pastRun, 100),
  problems,
});

const look = jsonRecord<HostWatch>({
  liveRun: jsonOptional(jsonText),
  heldBy: jsonOptional(jsonText),
  programs: jsonList(
    jsonRecord<WatchedProgram>({
      id: jsonWhole(),
      restarts: jsonWhole(),
      status: jsonText,
      bytes: jsonOptional(amount),
    }),
  ),
  health: jsonList(check),
  requestsLeft: jsonOptional(jsonWhole()),
});

const line = jsonByKind<WorkerLine>({
  host: { facts: host },
  status: { status: hostNow },
  'token-needed': {},
  collisions: { inTheWay: jsonList(jsonText), takenOver: jsonList(jsonText) },
  started: { pid },
  probed: { health: jsonList(check), healthy: jsonFlag },
  watched: { look },
  event: { offset: jsonWhole(), line: jsonText },
  heartbeat: {},
  gone: { problem },
  'cut-off': {},
  signalled: { accepted: jsonFlag, detail: jsonText },
  refused: { problems },
});

/** What was read, or why it is not what it should be. */
export type ParsedMessage<T> = { readonly value: T } | { readonly wrong: string };

/** Reads one line of stdout; undefined for a line of another program (a login message, a profile). Never throws. */
export function parseWorkerLine(said: string): ParsedMessage<WorkerLine> | undefined {
  return said.startsWith(LINE_MARK) ? parse(line, said.slice(LINE_MARK.length)) : undefined;
}

/** Reads an event, as it stands in a sealed line. Never throws. */
export function parseWorkerEvent(json: string): ParsedMessage<WorkerEvent> {
  return parse(event, json);
}

function parse<T>(read: ReadJson<T>, json: string): ParsedMessage<T> {
  try {
    return { value: read(JSON.parse(json)) };
  } catch (error) {
    if (error instanceof JsonMismatch) return { wrong: error.message };
    return { wrong: 'is not JSON' };
  }
}
