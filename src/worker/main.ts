import { readFileSync, rmSync } from 'node:fs';
import { definedOnly } from '../lib/defined-only.js';
import { type Problem, problemsOf } from '../lib/report.js';
import { KEY_LENGTH } from '../lib/seal.js';
import { isFolder } from './host/files.js';
import { TokenNeeded } from './host/git.js';
import { askLoopback, countedIn } from './host/loopback-health.js';
import { foreseeCollisions, inTheWayOf } from './host-files/collisions.js';
import { readHostState } from './host-state/host-state.js';
import {
  type CollisionsRequest,
  type HostFacts,
  type InspectRequest,
  LINE_MARK,
  type ProbeRequest,
  type WorkerLine,
  type WorkerRequest,
} from './protocol.js';
import { cancelSession, signal, streamRunEvents } from './run/follow.js';
import { hostStatus } from './run/host-status.js';
import { inspect } from './run/inspect.js';
import { longRun } from './run/long-run.js';
import { watchLive } from './run/watch-live.js';

/** Exit code where the request could not be carried out and a line of kind `refused` says why. */
const REFUSED = 3;

function printAnswer(line: WorkerLine): void {
  process.stdout.write(`${LINE_MARK}${JSON.stringify(line)}\n`);
}

/**
 * The request: put before the bundle by the action; or, of a detached worker, on stdin behind the line with the run's
 * key. That it is read is told by deleting the file named after `--waiting`.
 */
function readRequest(): { request: WorkerRequest; key: Buffer } {
  const given = (globalThis as { MUVA_REQUEST?: WorkerRequest }).MUVA_REQUEST;
  if (given !== undefined) return { request: given, key: Buffer.alloc(0) };
  const at = process.argv.indexOf('--waiting');
  const waiting = at < 0 ? undefined : process.argv[at + 1];
  if (waiting === undefined) throw new Error('no request was given');
  const text = readFileSync(0, 'utf8');
  rmSync(waiting);
  const end = text.indexOf('\n');
  return { request: JSON.parse(text.slice(end + 1)) as WorkerRequest, key: keyOf(text.slice(0, end)) };
}

function keyOf(digits: string): Buffer {
  const key = Buffer.from(digits, 'hex');
  if (key.length !== KEY_LENGTH) throw new Error('the key of the run was not given');
  return key;
}

async function main(): Promise<void> {
  const { request, key } = readRequest();
  const env = process.env;
  const home = env.HOME ?? '/';
  switch (request.command) {
    case 'inspect':
      return printAnswer(await lookAtHost(request, env));
    case 'collisions':
      return printAnswer(await collisions(request, env));
    case 'status':
      return printAnswer({ kind: 'status', status: await hostStatus(request.app, env) });
    case 'probe':
      return probe(request, env);
    case 'watch':
      return printAnswer({ kind: 'watched', look: await watchLive(request, env) });
    case 'follow':
      return streamRunEvents(request, home, printAnswer);
    case 'rehearse':
    case 'go':
    case 'cancel':
    case 'ask':
    case 'look':
      return printAnswer(signal(request, home));
    case 'cancel-session':
      return printAnswer(cancelSession(request, home));
    default:
      if (key.length === 0) throw new Error('a deploy or rollback runs detached, with a key of its own');
      await longRun(request, key, env);
      // Nothing that was left open keeps a run from being over: who follows waits for the end of this process.
      process.exit();
  }
}

async function lookAtHost(request: InspectRequest, env: NodeJS.ProcessEnv): Promise<WorkerLine> {
  try {
    return { kind: 'host', facts: await inspect(request, env) };
  } catch (error) {
    if (error instanceof TokenNeeded) return { kind: 'token-needed' };
    throw error;
  }
}

/** Paths of each kind that are told. */
const MOST_TOLD = 100;

async function collisions({ app, files }: CollisionsRequest, env: NodeJS.ProcessEnv): Promise<WorkerLine> {
  const { checkout, strategy } = await readHostState(app, env);
  const found = strategy === 'in-place' && checkout ? await foreseeCollisions(checkout, files) : undefined;
  return {
    kind: 'collisions',
    inTheWay: inTheWayOf(found).slice(0, MOST_TOLD),
    takenOver: (found?.takenOver ?? []).slice(0, MOST_TOLD),
  };
}

async function probe(request: ProbeRequest, env: NodeJS.ProcessEnv): Promise<void> {
  const { facts, state } = await readHostState(request.app, env);
  if (facts.portless && facts.refusals.length === 0) return printAnswer(supervisorSays(facts));
  if (facts.port === undefined) return refuse(facts.refusals);
  const asked = await askLoopback({
    port: facts.port,
    // Nothing is written where this action has no folder yet.
    health:
      request.counted && isFolder(state.path) ? countedIn(state.requests, request.health) : request.health,
    expectVersion: true,
    ...definedOnly({ version: facts.liveSha }),
    signal: new AbortController().signal,
  });
  printAnswer({ kind: 'probed', health: asked.facts, healthy: asked.healthy });
}

/** Of a program without a port there is only its supervisor to ask. */
function supervisorSays({ entry }: HostFacts): WorkerLine {
  const ok = entry?.status === 'online';
  const detail = `is ${entry?.status ?? 'not run'} in PM2`;
  const fact = {
    name: 'pm2',
    from: 'vps' as const,
    ok,
    status: null,
    'latency-ms': null,
    attempts: 1,
    detail,
  };
  return { kind: 'probed', health: [fact], healthy: ok };
}

function refuse(problems: Problem[]): void {
  printAnswer({ kind: 'refused', problems });
  process.exitCode = REFUSED;
}

// A reader that has gone away must not crash the answer half-way with a stack.
process.stdout.on('error', () => process.exit(0));
main().catch((error: unknown) => refuse(problemsOf(error)));
