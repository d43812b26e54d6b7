/**
 * Redeploy and rollback of a Next.js application that PM2 runs in cluster mode, while visitors come: this action
 * against the script that people write first, and against releases with a symlink. `node build/bench/redeploy.js [rounds]`.
 */
import { mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { runBundle } from '../__tests__/servers/doors.js';
import { installNext, nextFiles, nextVersion } from '../__tests__/servers/next-app.js';
import { type Origin, startOrigin } from '../__tests__/servers/origin.js';
import { kill, until } from '../__tests__/servers/pm2.js';
import { type Sshd, startSshd } from '../__tests__/servers/sshd.js';
import { startVps, type Vps } from '../__tests__/servers/vps.js';
import {
  type Bench,
  ended,
  interleaved,
  median,
  milliseconds,
  spread,
  table,
  withServers,
  writeSection,
} from './measure.js';
import { type Watched, watch } from './watch.js';

const rounds = Number(process.argv[2] ?? 2);
const INSTANCES = 2;

/** Milliseconds of each part, by its name. */
type Parts = Record<string, number>;

interface Measured extends Watched {
  /** Until the command had ended and the version that it should bring was served. */
  total: number;
  parts: Parts;
  /** The version that was served at the end. */
  version: string | undefined;
}

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
async function openServer(bench: Bench, nursery: Vps, live: 'checkout' | 'release'): Promise<Server> {
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
    instances: INSTANCES,
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
function action(server: Server, folder: string, signal: AbortSignal): Subject {
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
    name: 'this action',
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
    ([name, command]) => `${command}; now=$(date +%s%3N); echo "@ ${name} $((now - since))"; since=$now`,
  );
  const script = ['set -e', 'since=$(date +%s%3N)', ...timedParts].join('\n');
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
  const marks = text.split('\n').filter((line) => line.startsWith('@ '));
  return Object.fromEntries(marks.map((line) => [line.split(' ')[1]!, Number(line.split(' ')[2])]));
}

type Part = [name: string, command: string];
const INSTALL: Part = ['install', 'pnpm install --frozen-lockfile'];
const BUILD: Part = ['build', 'pnpm build'];

/** The script that people write first: everything in the live folder. */
function oldScript(server: Server, folder: string, signal: AbortSignal): Subject {
  const { appPath, appName } = server.vps;
  const rebuild: Part[] = [
    INSTALL,
    ['build', 'rm -rf .next && pnpm build'],
    ['switch', `pm2 restart ${appName} && pm2 save`],
  ];
  const fetched = `cd '${appPath}' && git fetch -q origin && git reset -q --hard origin/main`;
  return {
    name: 'the old script',
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
  const turn = (to: string): string =>
    `ln -s '${to}' '${appPath}/next' && mv -T '${appPath}/next' '${appPath}/current'`;
  const switchTo = (to: string): Part => ['switch', `${turn(to)} && pm2 reload ${appName} && pm2 save`];
  return {
    name: 'releases, symlink, reload',
    server,
    deploy: (_sha, id) => {
      const release = join(appPath, 'releases', String(id));
      const cloned: Part = ['fetch', `git clone -q '${origin.url}' '${release}' && cd '${release}'`];
      return overSsh(server, folder, [cloned, INSTALL, BUILD, switchTo(release)], signal);
    },
    rollback: () => overSsh(server, folder, [switchTo(join(appPath, 'releases', 'first'))], signal),
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

interface Round {
  /** The version that was live. */
  before: string;
  deploy: Measured;
  rollback: Measured;
}

async function once({ server, deploy, rollback }: Subject, run: number, signal: AbortSignal): Promise<Round> {
  const before = (await server.vps.served())!.version;
  const deployed = await underLoad(server, before, signal, () => deploy(origin.head(), run));
  const back = await underLoad(server, deployed.version, signal, () => rollback(run));
  return { before, deploy: deployed, rollback: back };
}

/** What a deploy consists of, and the steps that count for it; the rest is what no step tells of. */
const PARTS: Readonly<Record<string, readonly string[]>> = {
  fetch: ['fetch', 'stage'],
  install: ['install'],
  build: ['build'],
  rehearsal: ['rehearsal'],
  switch: ['cutover', 'put back', 'switch'],
  verification: ['verification'],
};

function partsOf({ parts, total }: Measured): Parts {
  const sum = (steps: readonly string[]): number => steps.reduce((all, step) => all + (parts[step] ?? 0), 0);
  const known = Object.entries(PARTS).map(([name, steps]): [string, number] => [name, sum(steps)]);
  const rest = total - known.reduce((all, [, time]) => all + time, 0);
  return { ...Object.fromEntries(known), rest };
}

function outcomes(results: Map<string, Round[]>, of: (round: Round) => Measured): string[][] {
  const base = median([...results.values()][0]!.map((round) => of(round).total));
  return [...results].map(([name, all]) => {
    const runs = all.map(of);
    const requests = runs.reduce((sum, each) => sum + each.requests, 0);
    const failed = runs.reduce((sum, each) => sum + each.failed, 0);
    const times = runs.map(({ total }) => total);
    return [
      name,
      spread(times),
      `${(median(times) / base).toFixed(1)} x`,
      `${failed.toLocaleString('en')} of ${requests.toLocaleString('en')}`,
      milliseconds(Math.max(...runs.map(({ gap }) => gap))),
    ];
  });
}

function partsTable(results: Map<string, Round[]>): string {
  const names = [...Object.keys(PARTS), 'rest'];
  const rows = [...results].flatMap(([subject, all]) =>
    (['deploy', 'rollback'] as const).map((what) => {
      const runs = all.map((round) => partsOf(round[what]));
      const times = names.map((name) => median(runs.map((parts) => parts[name]!)));
      return [`${subject}: ${what}`, ...times.map((time) => (time === 0 ? '' : milliseconds(time)))];
    }),
  );
  return table(['', ...names], rows);
}

function sectionOf(results: Map<string, Round[]>): string {
  const header = ['', 'total', 'to the first row', 'failed requests', 'longest gap'];
  const right = (rounds: Round[]): number =>
    rounds.filter(({ before, rollback }) => rollback.version === before).length;
  const back = outcomes(results, (round) => round.rollback).map((row, index) => {
    const all = [...results.values()][index]!;
    return [...row, `${right(all)} of ${all.length}`];
  });
  const own = [...results.values()][0]!.map(({ deploy }) => partsOf(deploy));
  const overhead = own.map(({ fetch, install, build, rehearsal, ...others }) =>
    Object.values(others).reduce((sum, time) => sum + time, 0),
  );
  const restart = median(own.map((parts) => parts.switch!));
  return `A Next.js application of three routes in PM2's cluster mode with ${INSTANCES} instances, over a real sshd, from a git
origin on the same machine, with a warm pnpm store. Visitors load its pages with their scripts, and a probe asks
its health route every 25 ms: each request on a new connection, about 100 a second. \`total\`: until the command had
ended and the other version was served. \`longest gap\`: the longest time without a good answer to the probe. ${rounds}
${rounds === 1 ? 'round' : 'rounds'}; each subject has a server of its own, with the same files.

Next.js serves only the scripts that were there when it started. While the instances change one after the other, a
page of the new version asks for its scripts, and an instance that still runs the old one answers 404.

Deploy:

${table(
  header,
  outcomes(results, (round) => round.deploy),
)}

Rollback. The old script goes one commit back, which is not always the version that was live:

${table([...header, 'to the version that was live'], back)}

Where the time goes. \`fetch\`: with the checkout of the files. \`switch\`: PM2's restart or reload, and for the
scripts \`pm2 save\`. \`rest\`: starting the process, connecting, looking at the server, and what no step tells of.

${partsTable(results)}

Beyond fetch, install and build, and beside the rehearsal, a deploy by this action takes ${spread(overhead)};
${milliseconds(restart)} of that are the switch itself.`;
}

const origin = startOrigin(nextFiles('v0'));
await withServers(async (bench) => {
  const { signal, open } = bench;
  await open(() => origin);
  const folder = mkdtempSync(join(tmpdir(), 'muva-bench-'));
  await open(() => ({ stop: () => rmSync(folder, { recursive: true, force: true }) }));
  console.log('building the application once ...');
  const nursery = await openVps(bench);
  nursery.env.npm_config_store_dir = join(folder, 'pnpm-store');
  await installNext(nursery, origin);
  const own = await openServer(bench, nursery, 'checkout');
  const old = await openServer(bench, nursery, 'checkout');
  const released = await openServer(bench, nursery, 'release');
  await must(nursery, 'pm2 kill');
  const subjects = [
    action(own, folder, signal),
    oldScript(old, folder, signal),
    releases(released, origin, folder, signal),
  ];
  let round = 0;
  const results = await interleaved(
    rounds,
    subjects.map((subject, index) => ({
      name: subject.name,
      run: async () => {
        if (index === 0) origin.commit(nextVersion(`v${++round}`));
        const measured = await once(subject, 1_000 + round, signal);
        for (const what of ['deploy', 'rollback'] as const) {
          const { total, failed, failures } = measured[what];
          console.log(`${subject.name}: ${what} ${milliseconds(total)}, ${failed} failed`);
          for (const failure of failures.slice(0, 3)) console.log(`  ${failure}`);
        }
        return measured;
      },
    })),
  );
  const text = sectionOf(results);
  console.log(text);
  writeSection(`redeploy ${rounds}`, 'Redeploy and rollback', text);
});
