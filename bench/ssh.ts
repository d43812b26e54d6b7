/**
 * Connecting over SSH and running a command: this action's client against OpenSSH's, to the same sshd, on loopback
 * and over a connection with 50 ms of round trip. `node build/bench/ssh.js [rounds]`.
 */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { type FaultProxy, startFaultProxy } from '../__tests__/servers/fault-proxy.js';
import { startSshd } from '../__tests__/servers/sshd.js';
import {
  type Bench,
  ended,
  interleaved,
  median,
  spread,
  table,
  withServers,
  writeSection,
} from './measure.js';

const rounds = Number(process.argv[2] ?? 5);
/** Commands on one connection. */
const MANY = 10;

interface Measured {
  /** Milliseconds of the whole process, or processes. */
  whole: number;
  /** Without the start of the process, where it can tell. */
  inside?: number;
  /** How often the client had to wait for the server. */
  turns: number;
}

/** The way to the sshd, with or without a delay. */
interface Way {
  title: string;
  proxy: FaultProxy;
  knownHosts: string;
}

interface Subject {
  name: string;
  run(way: Way): Promise<Omit<Measured, 'turns'>>;
}

async function openWays({ open }: Bench, folder: string, target: number, blob: string): Promise<Way[]> {
  const ways: Way[] = [];
  for (const [title, latency] of [
    ['loopback', 0],
    ['50 ms', 25],
  ] as const) {
    const proxy = await open(() => startFaultProxy({ target, latency }));
    const knownHosts = join(folder, `known-${proxy.port}`);
    writeFileSync(knownHosts, `[127.0.0.1]:${proxy.port} ssh-ed25519 ${blob}\n`);
    ways.push({ title, proxy, knownHosts });
  }
  return ways;
}

async function counted(way: Way, subject: Subject): Promise<Measured> {
  const before = way.proxy.flights();
  const measured = await subject.run(way);
  return { ...measured, turns: way.proxy.flights() - before };
}

await withServers(async (bench) => {
  const { signal, open } = bench;
  const folder = mkdtempSync(join(tmpdir(), 'muva-bench-'));
  await open(() => ({ stop: () => rmSync(folder, { recursive: true, force: true }) }));
  const { port, user, privateKey, knownHosts } = await open(() => startSshd({ kind: 'openssh' }));
  const blob = knownHosts.trim().split(' ')[2]!;
  const key = join(folder, 'key');
  writeFileSync(key, privateKey, { mode: 0o600 });

  const run = async (program: string, args: string[]): Promise<{ whole: number; text: string }> => {
    const { milliseconds, code, text } = await ended({ program, args, cwd: folder, signal });
    if (code !== 0) throw new Error(`${program} ended with ${code}:\n${text}`);
    return { whole: milliseconds, text };
  };
  const script = fileURLToPath(new URL('ssh-command.js', import.meta.url));
  const ours = async (way: Way, commands: number): ReturnType<Subject['run']> => {
    const args = [script, String(way.proxy.port), user, privateKey, blob, String(commands)];
    const { whole, text } = await run(process.execPath, args);
    return { whole, inside: Number(text) };
  };
  const openssh = (way: Way, ...more: string[]): string[] => [
    ...['-F', 'none', '-i', key, '-p', String(way.proxy.port)],
    ...['-o', 'BatchMode=yes', '-o', 'IdentitiesOnly=yes', '-o', `UserKnownHostsFile=${way.knownHosts}`],
    ...more,
    `${user}@127.0.0.1`,
  ];
  const repeated = 'n=0; while [ $n -lt "$N" ]; do ssh "$@" true || exit; n=$((n + 1)); done';
  const shared = (way: Way): string[] => [
    ...['-o', 'ControlMaster=auto', '-o', 'ControlPersist=30'],
    ...['-o', `ControlPath=${folder}/master-${way.proxy.port}`],
  ];
  const subjects: Subject[] = [
    { name: 'an empty Node process', run: () => run(process.execPath, ['-e', '0']) },
    { name: 'this action, 1 command', run: (way) => ours(way, 1) },
    { name: '`ssh`, 1 command', run: (way) => run('ssh', [...openssh(way), 'true']) },
    { name: `this action, ${MANY} commands`, run: (way) => ours(way, MANY) },
    {
      name: `\`ssh\` ${MANY} times`,
      run: (way) => run('/bin/sh', ['-c', `N=${MANY}; ${repeated}`, 'sh', ...openssh(way)]),
    },
    {
      name: `\`ssh\` ${MANY} times, ControlMaster`,
      run: (way) =>
        run('/bin/sh', [
          '-c',
          `N=${MANY}; ${repeated}; exec ssh -q -O exit "$@"`,
          'sh',
          ...openssh(way, ...shared(way)),
        ]),
    },
  ];
  const ways = await openWays(bench, folder, port, blob);
  const pairs = ways.flatMap((way) => subjects.map((subject) => ({ way, subject })));
  const results = await interleaved(
    rounds,
    pairs.map(({ way, subject }) => ({
      name: `${subject.name}, ${way.title}`,
      run: () => counted(way, subject),
    })),
  );
  const rows = subjects.map(({ name }) => [
    name,
    String(median(ways.flatMap(({ title }) => results.get(`${name}, ${title}`)!.map(({ turns }) => turns)))),
    ...ways.flatMap(({ title }) => {
      const runs = results.get(`${name}, ${title}`)!;
      const inside = runs.flatMap((each) => each.inside ?? []);
      return [spread(runs.map(({ whole }) => whole)), inside.length === 0 ? '' : spread(inside)];
    }),
  ]);
  const header = ['', 'turns', ...ways.flatMap(({ title }) => [`${title}: process`, 'without its start'])];
  const text = `To the same sshd, with an ed25519 key and a known host key, through a proxy that counts turns: how often the
client had to wait for the server. The command is \`true\`. \`process\`: from its start to its end; a deploy pays for
the start of Node and its modules once. \`without its start\`: connecting, logging in and the commands, with loading
the SSH library. ${rounds} rounds.

${table(header, rows)}`;
  console.log(text);
  writeSection(`ssh ${rounds}`, 'SSH', text);
});
