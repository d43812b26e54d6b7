import { type ChildProcess, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { chownSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Problem } from '../../src/lib/report.js';
import { runEvents } from '../../src/server/run-events.js';
import { parseWorkerLine } from '../../src/server/worker-messages.js';
import type {
  AppRequest,
  DeployRequest,
  HealthRequest,
  HostFacts,
  RollbackRequest,
  RunResult,
  WorkerEvent,
  WorkerLine,
  WorkerRequest,
} from '../../src/worker/protocol.js';
import { asLogin, type Vps } from './vps.js';

/** The worker as compiled, without the bundle around it: started as the action starts it. */
const BUILD = fileURLToPath(new URL('../..', import.meta.url));

let runs = 0;

export function app(vps: Vps, more: Partial<AppRequest> = {}): AppRequest {
  return { appPath: vps.appPath, appName: vps.appName, strategy: 'auto', adoptEnvironment: false, ...more };
}

export const HEALTH: HealthRequest = {
  paths: ['/', '/api/health'],
  timeout: 2_000,
  deadline: 6_000,
  successes: 2,
  checkAssets: true,
};

/** A deploy request with the defaults of the action; each call is a run of its own. */
export function deployRequest(vps: Vps, sha: string, more: Partial<DeployRequest> = {}): DeployRequest {
  return {
    command: 'deploy',
    app: app(vps),
    run: { id: String(1_000 + ++runs), attempt: 1, url: `https://example.com/runs/${1_000 + runs}` },
    sha,
    explicit: false,
    buildOutput: [],
    envFilePath: '.env.local',
    sharedPaths: [],
    keepReleases: 5,
    rehearse: true,
    dirtyCheckout: 'refuse',
    health: HEALTH,
    lockWait: 20_000,
    timeout: 120_000,
    cutover: 'at-once',
    goLease: 60_000,
    ...more,
  };
}

export function rollbackRequest(vps: Vps, more: Partial<RollbackRequest> = {}): RollbackRequest {
  return {
    command: 'rollback',
    app: app(vps),
    run: { id: String(1_000 + ++runs), attempt: 1 },
    health: HEALTH,
    lockWait: 20_000,
    timeout: 120_000,
    ...more,
  };
}

/** The keys of all runs, as their actions would have them. */
const keys = new Map<string, Buffer>();

export function keyOf({ command, run }: DeployRequest | RollbackRequest): Buffer {
  const name = JSON.stringify([command, run.id, run.attempt, run.invocation]);
  const key = keys.get(name) ?? randomBytes(32);
  keys.set(name, key);
  return key;
}

/** Starts the worker with a request; it runs in the sandbox's environment, in a session of its own. */
export function startWorker(
  vps: Vps,
  request: WorkerRequest,
  env: Record<string, string> = {},
): ChildProcess {
  // Not on the disk of the server, which a test may have filled.
  const folder = mkdtempSync(join(tmpdir(), 'muva-request-'));
  const file = join(folder, 'waiting');
  writeFileSync(file, '', { mode: 0o600 });
  const main = join(vps.login.build ?? BUILD, 'src/worker/main.js');
  const words = [process.execPath, '--enable-source-maps', main, '--waiting', file];
  const [program, args, as] = asLogin(vps.login, words);
  if (vps.login.uid !== undefined)
    for (const path of [folder, file]) chownSync(path, vps.login.uid, vps.login.uid);
  const child = spawn(program, args, {
    ...as,
    cwd: vps.home,
    env: { ...vps.env, ...env },
    stdio: ['pipe', 'pipe', 'pipe'],
    detached: true,
  });
  const long = request.command === 'deploy' || request.command === 'rollback';
  const key = long ? keyOf(request) : randomBytes(32);
  child.stdin.on('error', () => {}).end(`${key.toString('hex')}\n${JSON.stringify(request)}`);
  child.once('exit', () => rmSync(folder, { recursive: true, force: true }));
  return child;
}

/** Runs a short command to its end and returns its lines. */
export function ask(vps: Vps, request: WorkerRequest): Promise<WorkerLine[]> {
  return new Promise((done, fail) => {
    const child = startWorker(vps, request);
    let out = '';
    child.stdout!.setEncoding('utf8').on('data', (text: string) => {
      out += text;
    });
    child.stderr!.setEncoding('utf8').on('data', (text: string) => {
      out += text;
    });
    child.once('error', fail);
    child.once('close', () => {
      const found = out.split('\n').flatMap((line) => {
        const parsed = parseWorkerLine(line);
        if (parsed !== undefined && 'wrong' in parsed) throw new Error(`${parsed.wrong}: ${line}`);
        return parsed === undefined ? [] : [parsed.value];
      });
      if (found.length === 0) fail(new Error(`the worker said nothing of the protocol:\n${out}`));
      else done(found);
    });
  });
}

export async function inspectHost(
  vps: Vps,
  more: Partial<Parameters<typeof ask>[1]> = {},
): Promise<HostFacts> {
  const [line] = await ask(vps, {
    command: 'inspect',
    app: app(vps),
    run: { id: '1', attempt: 1 },
    explicit: false,
    rehearse: true,
    dirtyCheckout: 'refuse',
    ...more,
  } as WorkerRequest);
  if (line?.kind !== 'host') throw new Error(JSON.stringify(line));
  return line.facts;
}

/** All that a deploy would be refused for. */
export function refusalsOf({ refusals, deployRefusals }: HostFacts): Problem[] {
  return [...refusals, ...deployRefusals];
}

export interface Followed {
  result: RunResult;
  events: WorkerEvent[];
  steps: string[];
}

/** Follows a run to its end. */
export async function followRun(vps: Vps, request: DeployRequest | RollbackRequest): Promise<Followed> {
  const lines = await ask(vps, {
    command: 'follow',
    app: request.app,
    run: request.run,
    task: request.command,
    offset: 0,
  });
  const record = runEvents({
    key: keyOf(request),
    prefix: '',
    onDropped: ({ message }) => {
      throw new Error(message);
    },
  });
  const events = lines.flatMap((line) => (line.kind === 'event' ? (record.read(line.line) ?? []) : []));
  const last = events[events.length - 1];
  if (last?.kind !== 'ended')
    throw new Error(`the run has no result: ${JSON.stringify(lines[lines.length - 1])}`);
  const steps = events.flatMap((event) =>
    event.kind === 'step' ? [`${event.step.outcome} ${event.step.name}`] : [],
  );
  return { result: last.result, events, steps };
}

/** Starts a run and follows it to its end. */
export async function runWorker(vps: Vps, request: DeployRequest | RollbackRequest): Promise<Followed> {
  const child = startWorker(vps, request);
  let said = '';
  child.stdout!.on('data', (text) => {
    said += text;
  });
  child.stderr!.on('data', (text) => {
    said += text;
  });
  try {
    return await followRun(vps, request);
  } catch (error) {
    throw new Error(`${error instanceof Error ? error.message : error}\n${said}`);
  }
}
