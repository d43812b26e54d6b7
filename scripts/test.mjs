// Runs the compiled tests with node:test: `node scripts/test.mjs [--slow] [--only <part of a path>]... [--coverage]`.
// Files named *.slow.test.ts are the slow matrix (chaos, Next.js): .ci/run passes --slow, `npm test` does not.
import { spawn } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';

const build = process.env.BUILD_DIR ?? 'build';
const args = process.argv.slice(2);
const slow = args.includes('--slow');
const only = args.filter((_, index) => args[index - 1] === '--only');
const root = join(build, '__tests__');
const files = readdirSync(root, { recursive: true })
  .map(String)
  .filter((file) => file.endsWith('.test.js'))
  .filter((file) =>
    only.length > 0 ? only.some((part) => file.includes(part)) : slow || !file.endsWith('.slow.test.js'),
  )
  .sort()
  .map((file) => join(root, file));
if (files.length === 0) {
  console.error(`no test file below ${root} matches; run "npm run compile" first?`);
  process.exit(1);
}
const child = spawn(
  process.execPath,
  [
    '--enable-source-maps',
    '--test',
    `--test-concurrency=${Math.max(1, Math.min(4, availableParallelism()))}`,
    `--test-reporter=${args.includes('--tap') ? 'tap' : 'spec'}`,
    ...(args.includes('--coverage') ? ['--experimental-test-coverage'] : []),
    ...files,
  ],
  { stdio: ['ignore', 'inherit', 'inherit'] },
);
for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, () => child.kill(signal));
child.on('exit', (code, signal) => process.exit(signal ? 1 : (code ?? 1)));
