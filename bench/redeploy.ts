/**
 * Redeploy and rollback of a Next.js application that PM2 runs in cluster mode, while visitors come: this action
 * against the script that people write first, and against releases with a symlink. `node build/bench/redeploy.js [rounds]`.
 */
import { mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { runBundle } from '../__tests__/servers/entry-points.js';
import { installNext, nextVersion } from '../__tests__/servers/next-app.js';
import { type Origin, startOrigin } from '../__tests__/servers/origin.js';
import { kill } from '../__tests__/servers/pm2.js';
import { type Sshd, startSshd } from '../__tests__/servers/sshd.js';
import { until } from '../__tests__/servers/until.js';
import { startVps, type Vps } from '../__tests__/servers/vps.js';
import { type Bench, ended, interleaved, milliseconds, withServers, writeSection } from './measure.js';
import { shopFiles } from './next-shop.js';
import { type Measured, OLD, OURS, PAIR, type Parts, type Round, sectionOf } from './redeploy-section.js';
import { type Watched, watch } from './watch.js';

const rounds = Number(process.argv[2] ?? 1);

interface Subject {
  name: string;
  server: Server;
  deploy(sha: string, run: number): Promise<Parts>;
  rollback(run: number): Promise<Parts>;
}

interface Server {
  vps: Vps;
  sshd: Sshd;
}

/** A server whose application was built once, elsewhere: all start from the same files. */
async function openServer(
  bench: Bench,
  nursery: Vps,
  live: 'checkout' | 'release',
  instances = 1,
): Promise<Server> {
  const vps = await openVps(bench, nursery);
  const { appPath, appName, port } = vps;
  const cwd = live === 'checkout' ? appPath : join(appPath, 'current');
  const first = live === 'checkout' ? appPath : join(appPath, 'releases', 'first');
  mkdirSync(join(first, '..'), { recursive: true });
  await must(vps, `cp -a '${nursery.appPath}' '${first}'`);
  if (live === 'release') symlinkSync(first, cwd);
  const entry = {
    name: appName,
    script: 'node_modules/next/dist/bin/next',
    args: ['start', '-p', String(port)],
    cwd,
    exec_mode: 'cluster',
    instances,
    kill_timeout: 10_000,
    listen_timeout: 30_000,
  };
  const ecosystem = join(vps.home, 'ecosystem.config.json');
  writeFileSync(ecosystem, JSON.stringify({ apps: [entry] }));
  await must(vps, `pm2 start '${ecosystem}' && pm2 save`);
  await until('Next.js to answer', () => vps.served(), 60_000);
  const sshd = await bench.open(() => startSshd({ home: vps.home, environment: vps.env }));
  return { vps, sshd };
}

async function openVps({ open, signal }: Bench, like?: Vps): Promise<Vps> {
  const vps = await open(() => startVps(origin, { installed: false }));
  const killAll = (): void => {
    for (const pid of vps.processes()) kill(pid);
  };
  signal.addEventListener('abort', killAll, { once: true });
  for (const [name, value] of Object.entries(like?.env ?? {})) vps.env[name] ??= value;
  return vps;
}

async function must(vps: Vps, command: string): Promise<void> {
  const ran = await vps.run(command);
  if (ran.code !== 0) throw new Error(`${command} ended with ${ran.code}:\n${ran.stdout}\n${ran.stderr}`);
}

/** This action, as GitHub's runner starts it. */
function action(name: string, server: Server, folder: string, signal: AbortSignal): Subject {
  const { vps, sshd } = server;
  const run = async (id: number, inputs: Record<string, string>): Promise<Parts> => {
    const result = await runBundle({
      workspace: folder,
      env: { RUNNER_TEMP: folder, GITHUB_RUN_ID: String(id) },
      inputs: {
        'ssh-host': sshd.host,
        'ssh-port': String(sshd.port),
        'ssh-user': sshd.user,
        'ssh-private-key': sshd.privateKey,
        'ssh-fingerprint': sshd.fingerprint,
        'app-path': vps.appPath,
        'app-name': vps.appName,
        ...inputs,
      },
      cancelAfter: signal,
      force: true,
    });
    signal.throwIfAborted();
    if (result.exitCode !== 0) throw new Error(`the action ended with ${result.exitCode}:\n${result.log}`);
    const report = JSON.parse(readFileSync(result.outputs.report!, 'utf8')) as {
      phases: { steps: { name: string; 'duration-ms': number }[] }[];
    };
    const steps = report.phases.flatMap((phase) => phase.steps);
    return Object.fromEntries(steps.map((step) => [step.name, step['duration-ms']]));
  };
  return {
    name,
    server,
    deploy: (sha, id) => run(id, { mode: 'redeploy', ref: sha }),
    rollback: (id) => run(id, { mode: 'rollback' }),
  };
}

/** Runs the parts one after the other in one SSH session, and has them timed by the server. */
async function overSsh(
  server: Server,
  folder: string,
  parts: readonly Part[],
  signal: AbortSignal,
): Promise<Parts> {
  const { host, port, user, privateKey, knownHosts } = server.sshd;
  const [key, known] = [join(folder, `key-${port}`), join(folder, `known-${port}`)];
  writeFileSync(key, privateKey, { mode: 0o600 });
  writeFileSync(known, knownHosts);
  const timedParts = parts.map(
    ([name, command]) =>
      `${command} || exit 1; now=$(date +%s%3N); marks="$marks ${name} $((now - since))"; since=$now`,
  );
  // All marks in the last line: of what a build prints, only the end is kept.
  const script = ['marks=', 'since=$(date +%s%3N)', ...timedParts, 'echo "@$marks"'].join('\n');
  const { code, text } = await ended({
    program: 'ssh',
    args: [
      '-F',
      'none',
      '-o',
      'BatchMode=yes',
      '-o',
      `UserKnownHostsFile=${known}`,
      '-i',
      key,
      '-p',
      String(port),
      `${user}@${host}`,
      script,
    ],
    signal,
  });
  if (code !== 0) throw new Error(`the script ended with ${code}:\n${text}`);
  return partsFrom(text, parts);
}

function partsFrom(text: string, parts: readonly Part[]): Parts {
  const line = text.split('\n').findLast((each) => each.startsWith('@ ')) ?? '';
  const marks = line.split(' ').slice(1);
  return Object.fromEntries(
    parts.map(([name], index): [string, number] => {
      const time = Number(marks[index * 2 + 1]);
      if (marks[index * 2] !== name || !Number.isFinite(time))
        throw new Error(`no time of ${name} in:\n${text}`);
      return [name, time];
    }),
  );
}

type Part = [name: string, command: string];
const INSTALL: Part = ['install', 'pnpm install --frozen-lockfile'];
const BUILD: Part = ['build', 'pnpm build'];
const SAVE: Part = ['save', 'pm2 save'];

/** The script that people write first: everything in the live folder. */
function oldScript(server: Server, folder: string, signal: AbortSignal): Subject {
  const { appPath, appName } = server.vps;
  const rebuild: Part[] = [
    INSTALL,
    ['build', 'rm -rf .next && pnpm build'],
    ['restart', `pm2 restart ${appName}`],
    SAVE,
  ];
  const fetched = `cd '${appPath}' && git fetch -q origin && git reset -q --hard origin/main`;
  return {
    name: OLD,
    server,
    deploy: () => overSsh(server, folder, [['fetch', fetched], ...rebuild], signal),
    rollback: () =>
      overSsh(
        server,
        folder,
        [['fetch', `cd '${appPath}' && git reset -q --hard HEAD~1`], ...rebuild],
        signal,
      ),
  };
}

/** What Capistrano and its like do: each release in a folder of its own, a symlink, and a reload. */
function releases(server: Server, origin: Origin, folder: string, signal: AbortSignal): Subject {
  const { appPath, appName } = server.vps;
  const switchTo = (to: string): Part[] => [
    ['link', `ln -s '${to}' '${appPath}/next' && mv -T '${appPath}/next' '${appPath}/current'`],
    ['restart', `pm2 reload ${appName}`],
    SAVE,
  ];
  return {
    name: 'releases, symlink, reload',
    server,
    deploy: (_sha, id) => {
      const release = join(appPath, 'releases', String(id));
      const cloned: Part = ['fetch', `git clone -q '${origin.url}' '${release}' && cd '${release}'`];
      return overSsh(server, folder, [cloned, INSTALL, BUILD, ...switchTo(release)], signal);
    },
    rollback: () => overSsh(server, folder, switchTo(join(appPath, 'releases', 'first')), signal),
  };
}

/** Visitors come a second before the work begins and stay a second longer than it lasts. */
async function underLoad(
  { vps }: Server,
  from: string | undefined,
  signal: AbortSignal,
  work: () => Promise<Parts>,
): Promise<Measured> {
  const second = (): Promise<void> => new Promise((done) => setTimeout(done, 1_000));
  const watched = watch(vps);
  let measured: Omit<Measured, keyof Watched>;
  let seen: Watched;
  try {
    await second();
    const started = performance.now();
    const parts = await work();
    const version = await until(
      'another version to be served',
      async () => {
        signal.throwIfAborted();
        const now = (await vps.served())?.version;
        return now !== from && now;
      },
      60_000,
    );
    measured = { total: performance.now() - started, parts, version };
    await second();
  } finally {
    seen = await watched.stop();
  }
  return { ...measured, ...seen };
}

async function once(subject: Subject, wanted: string, run: number, signal: AbortSignal): Promise<Round> {
  const { server, deploy, rollback } = subject;
  const before = (await server.vps.served())!.version;
  const deployed = await underLoad(server, before, signal, () => deploy(origin.head(), run));
  const back = await underLoad(server, deployed.version, signal, () => rollback(run));
  for (const [what, { total, failed, failures }] of Object.entries({ deploy: deployed, rollback: back })) {
    console.log(`${subject.name}: ${what} ${milliseconds(total)}, ${failed} failed`);
    for (const failure of failures.slice(0, 3)) console.log(`  ${failure}`);
  }
  return { before, wanted, deploy: deployed, rollback: back };
}

const origin = startOrigin(shopFiles('v0'));

/** Pushes a version as most are pushed: in more than one commit. */
function push(version: string): void {
  origin.commit(nextVersion(`${version}, half`));
  origin.commit(nextVersion(version));
}

/** Installs and starts the application; milliseconds that its build took, with nothing beside it. */
async function buildAlone(nursery: Vps): Promise<number> {
  let took = 0;
  const run: Vps['run'] = async (command, cwd) => {
    const started = performance.now();
    const ran = await nursery.run(command, cwd);
    if (command.endsWith('pnpm build')) took = performance.now() - started;
    return ran;
  };
  await installNext({ ...nursery, run }, origin);
  return took;
}

await withServers(async (bench) => {
  const { signal, open } = bench;
  await open(() => origin);
  const folder = mkdtempSync(join(tmpdir(), 'muva-bench-'));
  await open(() => ({ stop: () => rmSync(folder, { recursive: true, force: true }) }));
  console.log('building the application once ...');
  const nursery = await openVps(bench);
  nursery.env.npm_config_store_dir = join(folder, 'pnpm-store');
  const aloneMs = await buildAlone(nursery);
  console.log(`its build took ${milliseconds(aloneMs)} alone`);
  const own = await openServer(bench, nursery, 'checkout');
  const old = await openServer(bench, nursery, 'checkout');
  const released = await openServer(bench, nursery, 'release');
  const pair = await openServer(bench, nursery, 'checkout', 2);
  await must(nursery, 'pm2 kill');
  // The copies are written to the disk first: otherwise the subject that comes first waits for it.
  await must(nursery, 'sync');
  const subjects = [
    action(OURS, own, folder, signal),
    oldScript(old, folder, signal),
    releases(released, origin, folder, signal),
  ];
  let round = 0;
  const compared = await interleaved(
    rounds,
    subjects.map((subject, index) => ({
      name: subject.name,
      run: () => {
        if (index === 0) push(`v${++round}`);
        return once(subject, `v${round}`, 1_000 + round, signal);
      },
    })),
  );
  const last = await once(action(PAIR, pair, folder, signal), `v${round}`, 2_000, signal);
  const text = sectionOf(new Map<string, Round[]>([...compared, [PAIR, [last]]]), aloneMs);
  console.log(text);
  writeSection(`redeploy ${rounds}`, 'Redeploy and rollback', text);
});
