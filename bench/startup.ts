/**
 * What loading the bundle costs, mode by mode: from the start of the process to its first network call, against an
 * empty Node process; and the size of dist. `node build/bench/startup.js [rounds]`.
 */
import { readdirSync, statSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { withFirstCalls } from '../__tests__/servers/first-call.js';
import { interleaved, median, spread, table, writeSection } from './measure.js';

const rounds = Number(process.argv[2] ?? 15);
const dist = resolve(process.env.DIST ?? 'dist');
const EMPTY = 'an empty Node process that connects';

function sizes(): string {
  const files = readdirSync(dist, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile());
  const bytes = files.map((entry) => statSync(join(entry.parentPath ?? entry.path, entry.name)).size);
  const total = bytes.reduce((sum, each) => sum + each, 0);
  return `dist: ${files.length} files, ${(total / 1_000_000).toFixed(1)} MB.`;
}

const results = await withFirstCalls(dist, (calls) =>
  interleaved(rounds, [
    { name: EMPTY, run: calls.ofEmpty },
    ...Object.keys(calls.modes).map((mode) => ({
      name: `\`mode: ${mode}\``,
      run: () => calls.ofMode(mode),
    })),
  ]),
);
const base = median(results.get(EMPTY)!);
const rows = [...results].map(([name, times]) => [
  name,
  spread(times),
  `${Math.round(median(times) - base)} ms`,
]);
const text = `From the start of the process to its first network call: reading and checking all inputs is in it, and
loading what talks to the network. ${rounds} rounds.\n\n${table(['', 'to the first call', 'over the empty one'], rows)}\n\n${sizes()}`;
console.log(text);
writeSection(`startup ${rounds}`, 'Start-up and size', text);
