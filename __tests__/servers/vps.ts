import { type SpawnOptions, spawn, spawnSync } from 'node:child_process';
import {
  chmodSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  realpathSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { request } from 'node:http';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { definedOnly } from '../../src/lib/defined-only.js';
import { commandOf } from '../../src/worker/host/processes.js';
import { appFiles } from './fixture-app.js';
import { freePort } from './free-port.js';
import { GIT_ENV, type Origin, startOrigin } from './origin.js';
import { kill, processesWith } from './pm2.js';
import { until } from './until.js';

/** The root of the compiled tree that this file belongs to. */
const BUILD = fileURLToPath(new URL('../..', import.meta.url));
/** What a server has beside Node and git. */
const TOOLS = ['pm2', 'pnpm'];

export interface VpsOptions {
  mode?: 'cluster' | 'fork';
  instances?: number;
  /** How the entry learns its port: PORT in its environment, or `-p` in its arguments. */
  portFrom?: 'environment' | 'arguments';
  /** False leaves the server without an application: no checkout, no PM2 entry. */
  installed?: boolean;
  /** Content of an untracked .env.local in the checkout. */
  envLocal?: string;
  /** A folder on the disk that all of the server lies on. */
  disk?: string;
  /** Milliseconds that PM2 waits for a new process; its own 3 seconds are too few where many servers share a machine. */
  listenTimeout?: number;
  /** What the PM2 entry has beside or instead, as an ecosystem file says it. */
  entry?: Readonly<Record<string, unknown>>;
}

export interface Login {
  uid?: number;
  /** As the shell takes it: `077`. */
  umask?: string;
  /** The compiled sources, where it may not enter the checkout. */
  build?: string;
}

interface Ran {
  code: number | null;
  stdout: string;
  stderr: string;
}

export interface LoadResult {
  requests: number;
  failed: number;
  /** What the failures were, at most ten. */
  failures: string[];
  versions: string[];
}

/** A server of one's own inside a temporary folder: HOME, PM2 daemon, PATH and one application that runs. */
export interface Vps {
  readonly root: string;
  readonly home: string;
  readonly appPath: string;
  readonly appName: string;
  readonly port: number;
  readonly env: Record<string, string>;
  /** How the one who deploys is logged in, where it is not as these tests run. */
  readonly login: Login;
  /** Runs a command of the server's shell there. */
  run(command: string, cwd?: string): Promise<Ran>;
  /** Version and commit that the application answers with now; undefined where it does not answer. */
  served(): Promise<{ version: string; commit: string | null; greeting: string; pid: number } | undefined>;
  /** Keeps `perSecond` requests a second running until `stop`. */
  load(perSecond: number): { stop(): Promise<LoadResult> };
  /** Ids of everything that runs in the sandbox. */
  processes(): number[];
  stop(): Promise<void>;
}

export async function startVps(origin: Origin, options: VpsOptions = {}): Promise<Vps> {
  const root = realpathSync(mkdtempSync(join(options.disk ?? tmpdir(), 'muva-vps-')));
  const home = join(root, 'home');
  const bin = join(root, 'bin');
  const appPath = join(root, 'var/www/app');
  for (const folder of [home, bin, join(root, 'var/www')]) mkdirSync(folder, { recursive: true });
  symlinkSync(process.execPath, join(bin, 'node'));
  for (const tool of TOOLS) symlinkSync(resolve('node_modules/.bin', tool), join(bin, tool));
  const npm = join(dirname(process.execPath), 'npm');
  if (existsSync(npm)) symlinkSync(npm, join(bin, 'npm'));
  writeFileSync(join(home, '.gitconfig'), '[safe]\n\tdirectory = *\n[advice]\n\tdetachedHead = false\n');
  const { GIT_CONFIG_GLOBAL: _, ...gitEnv } = GIT_ENV;
  const env = {
    HOME: home,
    PM2_HOME: join(home, '.pm2'),
    PATH: `${bin}:/usr/local/bin:/usr/bin:/bin`,
    LANG: 'C.UTF-8',
    SHELL: '/bin/sh',
    USER: 'deployer',
    XDG_DATA_HOME: join(home, '.local/share'),
    MUVA_SANDBOX: root,
    npm_config_update_notifier: 'false',
    PM2_DISABLE_VERSION_CHECK: 'true',
    ...gitEnv,
  };
  const port = await freePort();
  const login: Login = {};
  const vps: Vps = {
    root,
    home,
    appPath,
    appName: 'app',
    port,
    env,
    login,
    run: (command, cwd = home) => runShell(command, cwd, env, login),
    served: () => served(port),
    load: (perSecond) => startLoad(port, perSecond),
    processes: () => processesWith('MUVA_SANDBOX', root),
    stop: () => stopSandbox(root),
  };
  try {
    if (options.installed ?? true) await installApp(vps, origin, options);
  } catch (error) {
    await vps.stop();
    throw error;
  }
  return vps;
}

/** A server with an application, the small one by default, and the remote that it was cloned from, while `work` runs. */
export async function withVps(
  options: VpsOptions,
  work: (vps: Vps, origin: Origin) => Promise<void>,
  files = appFiles('v1'),
): Promise<void> {
  const origin = startOrigin(files);
  try {
    const vps = await startVps(origin, options);
    try {
      await work(vps, origin);
    } finally {
      await vps.stop();
    }
  } finally {
    origin.stop();
  }
}

/** The command lines of all that runs on this server; other tests of the machine have their own. */
export function commandsOn(vps: Vps): string[] {
  return vps.processes().flatMap((pid) => commandOf(pid) ?? []);
}

/** Ids of the detached workers that run on this server. */
export function workersOn(vps: Vps): number[] {
  return vps.processes().filter((pid) => commandOf(pid)?.includes('--waiting'));
}

/** One more application on the same server, under the same PM2 daemon. It is stopped with its server. */
export async function addApplication(vps: Vps, origin: Origin, appName: string): Promise<Vps> {
  const port = await freePort();
  const other: Vps = {
    ...vps,
    appName,
    appPath: join(vps.root, 'var/www', appName),
    port,
    served: () => served(port),
    load: (perSecond) => startLoad(port, perSecond),
  };
  await installApp(other, origin, {});
  return other;
}

async function installApp(vps: Vps, origin: Origin, options: VpsOptions): Promise<void> {
  await mustRun(vps, `git clone -q '${origin.url}' '${vps.appPath}'`);
  if (options.envLocal !== undefined) writeFileSync(join(vps.appPath, '.env.local'), options.envLocal);
  await mustRun(vps, 'pnpm install --frozen-lockfile && pnpm build', vps.appPath);
  const byArguments = options.portFrom === 'arguments';
  writeFileSync(
    join(vps.home, 'ecosystem.config.json'),
    JSON.stringify({
      apps: [
        {
          name: vps.appName,
          script: 'server.js',
          cwd: vps.appPath,
          exec_mode: options.mode ?? 'cluster',
          instances: options.instances ?? 1,
          kill_timeout: 10_000,
          ...definedOnly({ listen_timeout: options.listenTimeout }),
          ...(byArguments ? { args: ['-p', String(vps.port)] } : { env: { PORT: String(vps.port) } }),
          ...options.entry,
        },
      ],
    }),
  );
  await mustRun(vps, `pm2 start '${join(vps.home, 'ecosystem.config.json')}' && pm2 save`);
  await until('the application to answer', () => vps.served());
}

async function mustRun(vps: Vps, command: string, cwd?: string): Promise<void> {
  const ran = await vps.run(command, cwd);
  if (ran.code !== 0) throw new Error(`${command} ended with ${ran.code}:\n${ran.stdout}\n${ran.stderr}`);
}

/** The words and options that start a program as the login does. */
export function asLogin({ uid, umask }: Login, words: readonly string[]): [string, string[], SpawnOptions] {
  const [file, ...args] =
    umask === undefined ? words : ['/bin/sh', '-c', `umask ${umask}; exec "$0" "$@"`, ...words];
  return [file!, args, uid === undefined ? {} : { uid, gid: uid }];
}

/**
 * Another user must be able to read what the sandbox runs, and this checkout may lie where root alone enters or be of a
 * umask that shuts others out: so the tools and the compiled sources are linked into the sandbox, or copied and opened.
 */
async function letOthersRead(vps: Vps): Promise<void> {
  const [tools, build] = [join(vps.root, 'tools'), join(vps.root, 'build')];
  for (const [from, to] of [
    [resolve('node_modules'), join(tools, 'node_modules')],
    [join(BUILD, 'src'), join(build, 'src')],
  ]) {
    mkdirSync(dirname(to!), { recursive: true });
    const copy = `{ rm -rf '${to}'; cp -a '${from}' '${to}' && chmod -R a+rX '${to}'; }`;
    const open = (statSync(from!).mode & 0o005) === 0o005;
    await mustRun(vps, open ? `cp -al '${from}' '${to}' 2>/dev/null || ${copy}` : copy);
  }
  copyFileSync(join(BUILD, 'package.json'), join(build, 'package.json'));
  chmodSync(join(build, 'package.json'), 0o644);
  for (const tool of TOOLS) {
    rmSync(join(vps.root, 'bin', tool));
    symlinkSync(join(tools, 'node_modules/.bin', tool), join(vps.root, 'bin', tool));
  }
  vps.login.build = build;
}

/**
 * From here on the one who deploys owns the application and a home, and may write nothing beside them. Root may write
 * everywhere, so it becomes another user; everyone else loses the right to write there.
 */
export async function ownNothingBeside(vps: Vps, origin: Origin): Promise<void> {
  const beside = dirname(vps.appPath);
  if (process.getuid!() !== 0) return chmodSync(beside, 0o555);
  const nobody = 65_534;
  await vps.run('pm2 kill');
  await vps.run(`chown -R ${nobody}:${nobody} '${vps.home}'; chown -R ${nobody}:${nobody} '${vps.appPath}'`);
  for (const path of [vps.root, dirname(origin.url)]) chmodSync(path, 0o755);
  await letOthersRead(vps);
  vps.login.uid = nobody;
  await mustRun(vps, 'pm2 resurrect');
}

function runShell(command: string, cwd: string, env: Record<string, string>, login: Login): Promise<Ran> {
  return new Promise((done, fail) => {
    const [file, args, as] = asLogin(login, ['/bin/sh', '-c', command]);
    const child = spawn(file, args, { ...as, cwd, env, stdio: ['ignore', 'pipe', 'pipe'] });
    let stdout = '';
    let stderr = '';
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      stdout += text;
    });
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      stderr += text;
    });
    child.on('error', fail);
    // PM2's daemon inherits the pipes, so 'close' would wait for it.
    child.on('exit', (code) => setImmediate(() => done({ code, stdout, stderr })));
  });
}

/** One answer over a connection of its own, as a proxy without keep-alive asks. */
export function ask(port: number, path: string): Promise<{ status: number; body: string }> {
  return new Promise((done, fail) => {
    const asked = request({ host: '127.0.0.1', port, path, agent: false, timeout: 15_000 }, (response) => {
      let body = '';
      response.setEncoding('utf8').on('data', (text: string) => {
        body += text;
      });
      response.on('end', () => done({ status: response.statusCode ?? 0, body }));
      response.on('error', fail);
    });
    asked.on('timeout', () => asked.destroy(new Error('timed out')));
    asked.on('error', fail);
    asked.end();
  });
}

async function served(port: number): ReturnType<Vps['served']> {
  try {
    const { body } = await ask(port, '/api/health');
    return JSON.parse(body) as Awaited<ReturnType<Vps['served']>>;
  } catch {
    return undefined;
  }
}

function startLoad(port: number, perSecond: number): { stop(): Promise<LoadResult> } {
  const result: LoadResult = { requests: 0, failed: 0, failures: [], versions: [] };
  const open = new Set<Promise<void>>();
  const once = async (): Promise<void> => {
    result.requests += 1;
    try {
      const { status, body } = await ask(port, '/');
      if (status !== 200) throw new Error(`status ${status}`);
      const version = /version ([^<]*)</.exec(body)?.[1] ?? '?';
      if (!result.versions.includes(version)) result.versions.push(version);
    } catch (error) {
      result.failed += 1;
      if (result.failures.length < 10) result.failures.push(String(error));
    }
  };
  const most = Math.max(4, Math.ceil(perSecond / 8));
  const started = performance.now();
  const timer = setInterval(() => {
    // Catches up after a late tick, so that the rate is what was asked for; but a machine too busy to serve it is asked
    // at the rate that it serves, or requests would pile up until each one times out.
    const due = Math.floor(((performance.now() - started) * perSecond) / 1_000);
    while (result.requests < due && open.size < most) {
      const running = once().finally(() => open.delete(running));
      open.add(running);
    }
  }, 10);
  return {
    async stop() {
      clearInterval(timer);
      await Promise.all(open);
      return result;
    },
  };
}

async function stopSandbox(root: string): Promise<void> {
  const daemon = readPid(join(root, 'home/.pm2/pm2.pid'));
  if (daemon !== undefined && processesWith('MUVA_SANDBOX', root).includes(daemon)) kill(daemon);
  await until('everything in the sandbox to end', () => {
    const left = processesWith('MUVA_SANDBOX', root);
    for (const pid of left) kill(pid);
    return left.length === 0;
  });
  // Tests shut folders, which nobody but root could delete then.
  spawnSync('chmod', ['-R', 'u+rwX', root]);
  rmSync(root, { recursive: true, force: true, maxRetries: 3 });
}

function readPid(file: string): number | undefined {
  try {
    const pid = Number(readFileSync(file, 'utf8'));
    return Number.isInteger(pid) && pid > 1 ? pid : undefined;
  } catch {
    return undefined;
  }
}
