/** What every benchmark here shares: medians of interleaved runs, a table, and its place in docs/benchmarks.md. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { availableParallelism, cpus, loadavg } from 'node:os';

export interface Command {
  program: string;
  args: readonly string[];
  cwd?: string;
  env?: Readonly<Record<string, string>>;
}

/** Runs a program to its end; milliseconds. One that fails is an error: it must not count as quick. */
export async function timed({ program, args, cwd, env }: Command): Promise<number> {
  const started = performance.now();
  const child = spawn(program, args, {
    cwd,
    env: { PATH: process.env.PATH ?? '', HOME: cwd ?? '/', ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let text = '';
  for (const stream of [child.stdout, child.stderr])
    stream.setEncoding('utf8').on('data', (chunk: string) => {
      text = (text + chunk).slice(-4_000);
    });
  const [code] = (await once(child, 'close')) as [number | null];
  if (code !== 0) throw new Error(`${program} ${args.slice(0, 3).join(' ')} ended with ${code}:\n${text}`);
  return performance.now() - started;
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
  const [open, close] = [`<!-- ${title} -->`, `<!-- /${title} -->`];
  const [name, ...args] = made.split(' ');
  const command = [`node build/bench/${name}.js`, ...args].join(' ');
  const section = `${open}\n## ${title}\n\n${text.trim()}\n\n\`${command}\` on ${machine()}.\n${close}`;
  const [from, to] = [document.indexOf(open), document.indexOf(close)];
  const changed =
    from === -1
      ? `${document.trimEnd()}\n\n${section}\n`
      : `${document.slice(0, from)}${section}${document.slice(to + close.length)}`;
  writeFileSync(FILE, changed);
}
