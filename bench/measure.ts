/** What every benchmark here shares: medians of interleaved runs, a table, and its place in docs/benchmarks.md. */
import { spawn } from 'node:child_process';
import { once, setMaxListeners } from 'node:events';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { availableParallelism, constants, cpus, loadavg } from 'node:os';

export interface Command {
  program: string;
  args: readonly string[];
  cwd?: string;
  env?: Readonly<Record<string, string>>;
  /** Kills it and all that it has started. */
  signal?: AbortSignal;
}

export interface Ended {
  /** From its start to its end. */
  milliseconds: number;
  code: number | null;
  /** The end of what it printed, on either stream. */
  text: string;
}

/** Runs a program to its end, whatever that is. */
export async function ended({ program, args, cwd, env, signal }: Command): Promise<Ended> {
  signal?.throwIfAborted();
  const started = performance.now();
  const child = spawn(program, args, {
    cwd,
    // What it leaves in the folder for temporary files goes with its own folder.
    env: { PATH: process.env.PATH ?? '', HOME: cwd ?? '/', ...(cwd ? { TMPDIR: cwd } : {}), ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
    // A group of its own, which can be killed as one.
    detached: signal !== undefined,
  });
  const kill = (): void => void process.kill(-child.pid!, 'SIGKILL');
  signal?.addEventListener('abort', kill, { once: true });
  let text = '';
  for (const stream of [child.stdout, child.stderr])
    stream.setEncoding('utf8').on('data', (chunk: string) => {
      text = (text + chunk).slice(-4_000);
    });
  const [code] = (await once(child, 'close')) as [number | null];
  signal?.removeEventListener('abort', kill);
  signal?.throwIfAborted();
  return { milliseconds: performance.now() - started, code, text };
}

/** Runs a program to its end; milliseconds. One that fails is an error: it must not count as quick. */
export async function timed(command: Command): Promise<number> {
  const { milliseconds, code, text } = await ended(command);
  const { program, args } = command;
  if (code !== 0) throw new Error(`${program} ${args.slice(0, 3).join(' ')} ended with ${code}:\n${text}`);
  return milliseconds;
}

export interface Bench {
  /** Fires when somebody interrupts the benchmark. */
  signal: AbortSignal;
  /** What is opened is stopped at the end, the newest first: after an error and an interrupt too. */
  open<T extends { stop(): unknown }>(start: () => T | Promise<T>): Promise<T>;
}

/** Runs a benchmark that starts servers, and stops all of them, whatever happens. */
export async function withServers(work: (bench: Bench) => Promise<void>): Promise<void> {
  const interrupted = new AbortController();
  const { signal } = interrupted;
  setMaxListeners(0, signal);
  const stop = (by: NodeJS.Signals): void => {
    process.exitCode = 128 + constants.signals[by];
    interrupted.abort(new Error(`${by}: interrupted`));
  };
  for (const each of ['SIGINT', 'SIGTERM'] as const) process.on(each, stop);
  const opened: { stop(): unknown }[] = [];
  const open: Bench['open'] = async (start) => {
    signal.throwIfAborted();
    const server = await start();
    opened.unshift(server);
    return server;
  };
  try {
    await work({ signal, open });
  } catch (error) {
    process.exitCode ||= 1;
    console.error(signal.aborted ? String(signal.reason) : error);
  } finally {
    for (const server of opened) await (async () => server.stop())().catch(console.error);
    for (const each of ['SIGINT', 'SIGTERM'] as const) process.off(each, stop);
  }
}

/** Runs all subjects in turns, so that a change in the machine's speed meets every one of them. */
export async function interleaved<Name extends string, Result>(
  rounds: number,
  subjects: readonly { name: Name; run: () => Promise<Result> }[],
): Promise<Map<Name, Result[]>> {
  const results = new Map<Name, Result[]>(subjects.map(({ name }) => [name, []]));
  for (let round = 0; round < rounds; round++)
    for (const { name, run } of subjects) results.get(name)!.push(await run());
  return results;
}

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = Math.floor(sorted.length / 2);
  return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2;
}

/** A median with what it varied between, such as `310 ms (290-355)`. */
export function spread(values: readonly number[]): string {
  const [least, most] = [Math.min(...values), Math.max(...values)];
  return `${milliseconds(median(values))} (${Math.round(least)}-${Math.round(most)})`;
}

export function milliseconds(value: number): string {
  return value < 10 ? `${value.toFixed(1)} ms` : `${Math.round(value).toLocaleString('en')} ms`;
}

export function table(header: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]): string => `| ${cells.join(' | ')} |`;
  const rule = line(header.map((_, index) => (index === 0 ? '---' : '---:')));
  return [line(header), rule, ...rows.map(line)].join('\n');
}

/** On what the figures were taken, and how busy it was with other things. */
export function machine(): string {
  const model = cpus()[0]?.model.trim() ?? 'unknown processor';
  const load = loadavg()[0]!.toFixed(1);
  return `${availableParallelism()} cores (${model}), Node ${process.versions.node}, ${process.platform}; load average ${load} at the end of the run`;
}

const FILE = 'docs/benchmarks.md';
const HEAD = `# Benchmarks

Written by \`npm run bench\`; each section names the command that makes it alone. Times are medians of runs that
took turns with each other, with the shortest and the longest in brackets. Machines differ and machines are busy:
compare the figures of one table with each other, never with those of another run.
`;

/** Replaces one section of docs/benchmarks.md, and leaves the others as they are. `made`: the benchmark and its arguments. */
export function writeSection(made: string, title: string, text: string): void {
  const document = existsSync(FILE) ? readFileSync(FILE, 'utf8') : HEAD;
  const [name, ...args] = made.split(' ');
  const command = [`node build/bench/${name}.js`, ...args].join(' ');
  const section = `<!-- ${title} -->\n## ${title}\n\n${text.trim()}\n\n\`${command}\` on ${machine()}.\n<!-- /${title} -->`;
  writeFileSync(FILE, withSection(document, title, section));
}

/** The first words of the titles, in the order of the document. */
const GROUPS = ['Migrations', 'Verification', 'Redeploy', 'Health', 'SSH', 'Start-up'];

/** The document with this section in its place, and all sections in their order, whichever was measured last. */
export function withSection(document: string, title: string, section: string): string {
  const [head] = document.split(/^<!-- /m, 1);
  const sections = new Map([...document.matchAll(SECTION)].map(([text, name]) => [name!, text]));
  sections.set(title, section);
  const inOrder = [...sections.keys()].sort(
    (a, b) => groupOf(a) - groupOf(b) || plain(a).localeCompare(plain(b), 'en', { numeric: true }),
  );
  return `${[head!.trim(), ...inOrder.map((name) => sections.get(name))].join('\n\n')}\n`;
}

const SECTION = /^<!-- (.+) -->\n[\s\S]*?^<!-- \/\1 -->$/gm;

function groupOf(title: string): number {
  return GROUPS.findIndex((words) => title.startsWith(words));
}

/** Without the commas between thousands, so that numbers sort as numbers. */
function plain(title: string): string {
  return title.replaceAll(/(?<=\d),(?=\d)/g, '');
}
