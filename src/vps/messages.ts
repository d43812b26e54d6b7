import type { HealthFact, HealthFault, Problem, SourcePosition, Step, Timings } from '../base/report.js';
import {
  byKind,
  flag,
  list,
  Mismatch,
  maybe,
  nullable,
  number,
  oneOf,
  type Read,
  record,
  text,
  whole,
} from '../base/shape.js';
import {
  type HostFacts,
  LINE_MARK,
  type RunResult,
  type WayBack,
  type WorkerEvent,
  type WorkerLine,
} from '../worker/protocol.js';

/** What a server sends to the action, read by its type: fields that the type does not have are dropped here. */

/** Milliseconds that something took; more than a year is no time. */
const took = number(0, 31_536_000_000);
/** Milliseconds since the epoch, as a date can hold them. */
const time = number(0, 8_640_000_000_000_000);
const pid = whole(1);
/** Network disks tell more than a safe integer holds, and full ones less than nothing. */
const amount = number(-1e30, 1e30);

const position = record<SourcePosition>({ file: text, line: whole(), column: whole(), text: maybe(text) });
const problem = record<Problem>({ message: text, code: maybe(text), at: maybe(position), next: maybe(text) });
const problems = list(problem);

const step = record<Step>({
  name: text,
  outcome: oneOf('passed', 'failed', 'skipped', 'unknown'),
  startedAt: time,
  milliseconds: took,
  detail: maybe(text),
});

const timings = record<Timings>({
  dns: nullable(took),
  connect: nullable(took),
  tls: nullable(took),
  'first-byte': nullable(took),
  total: took,
});

const fault: Read<HealthFault> = oneOf(
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

const check = record<HealthFact>({
  name: text,
  from: oneOf('runner', 'vps'),
  ok: flag,
  status: nullable(whole()),
  'latency-ms': nullable(took),
  attempts: whole(),
  detail: maybe(text),
  timings: maybe(timings),
  fault: maybe(fault),
  next: maybe(text),
  'days-left': maybe(number(-100_000, 100_000)),
});

const result = record<RunResult>({
  outcome: oneOf(
    'deployed',
    'unchanged',
    'rolled-back',
    'put-back',
    'failed',
    'broken',
    'cancelled',
    'newer-is-live',
  ),
  previousSha: maybe(text),
  deployedSha: maybe(text),
  release: maybe(text),
  downtimeMs: maybe(took),
  rollbackMs: maybe(took),
  rehearsed: maybe(flag),
  health: maybe(list(check)),
  problems,
  warnings: problems,
});

const event = byKind<WorkerEvent>({
  started: { pid, at: time },
  progress: { text },
  step: { step },
  output: { source: text, text },
  warning: { problem },
  state: {
    state: oneOf('waiting-for-lock', 'preparing', 'prepared', 'cutting-over', 'verifying', 'putting-back'),
  },
  ended: { result },
});

const wayBack = byKind<WayBack>({
  go: { to: record({ sha: text, release: text }), forward: flag, runs: list(text) },
  nothing: { why: text, runs: list(text), overtakenBy: maybe(text) },
  refused: { problem },
});

type Lock = NonNullable<HostFacts['lock']>;
const holder = record<NonNullable<Lock['holder']>>({
  runId: text,
  session: maybe(text),
  url: maybe(text),
  since: time,
  pid: whole(),
});

const host = record<HostFacts>({
  node: maybe(text),
  git: maybe(text),
  pm2: maybe(text),
  layout: oneOf('checkout', 'releases', 'absent', 'other'),
  strategy: oneOf('in-place', 'releases', 'adopt'),
  stateFolder: maybe(text),
  environment: maybe(text),
  liveSha: maybe(text),
  liveRelease: maybe(text),
  liveRun: maybe(text),
  liveVerified: flag,
  newerIsLive: maybe(oneOf(true)),
  wayBack: maybe(wayBack),
  shaOnRemote: maybe(flag),
  dirtyFiles: list(text, 100_000),
  freeBytes: amount,
  freeInodes: maybe(amount),
  memoryBytes: amount,
  port: maybe(number(0, 65_535)),
  entry: maybe(record({ mode: oneOf('cluster', 'fork'), instances: whole(), status: text, script: text })),
  lock: maybe(record<Lock>({ holder: maybe(holder) })),
  notRehearsedWhy: maybe(text),
  refusals: problems,
  deployRefusals: problems,
  warnings: problems,
});

const line = byKind<WorkerLine>({
  host: { facts: host },
  'token-needed': {},
  started: { pid },
  probed: { health: list(check), healthy: flag },
  event: { offset: whole(), line: text },
  heartbeat: {},
  gone: { problem },
  'cut-off': {},
  signalled: { accepted: flag, detail: text },
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

function parse<T>(read: Read<T>, json: string): ParsedMessage<T> {
  try {
    return { value: read(JSON.parse(json)) };
  } catch (error) {
    if (error instanceof Mismatch) return { wrong: error.message };
    return { wrong: 'is not JSON' };
  }
}
