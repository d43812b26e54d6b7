// Runs the compiled tests with node:test: `node scripts/test.mjs [--slow] [--only <part of a path>]... [--coverage]`.
// Files named *.slow.test.ts are the slow matrix (chaos, Next.js): `npm test` leaves them out, .ci/run names them by --only.
// Files with .timing. in their names measure time, so they run last and one at a time, with the machine to themselves.
import { spawn } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';

// Writes what the fault table is judged by, where FAULT_RESULTS names a file; see faults.mjs --from.
const FAULTS_REPORTER = [
  '--test-reporter=./scripts/faults-reporter.mjs',
  '--test-reporter-destination=stderr',
];

const build = process.env.BUILD_DIR ?? 'build';
const args = process.argv.slice(2);
const slow = args.includes('--slow');
const only = args.filter((_, index) => args[index - 1] === '--only');
const root = join(build, '__tests__');
const files = readdirSync(root, { recursive: true })
  .map(String)
  .filter((file) => file.endsWith('.test.js'))
  .filter((file) =>
    only.length > 0
      ? only.some(
          (part) =>
            file.startsWith(part) ||
            file.includes(`/${part}`) ||
            (part.startsWith('.') && file.includes(part)),
        )
      : slow || !file.endsWith('.slow.test.js'),
  )
  .sort()
  .map((file) => join(root, file));
if (files.length === 0) {
  console.error(`no test file below ${root} matches; run "npm run compile" first?`);
  process.exit(1);
}
// Coverage of the compiled sources; it needs Node 22 or newer, and no source maps, which it cannot read here.
const COVERAGE = ['--experimental-test-coverage', `--test-coverage-include=${join(build, 'src')}/**`];
const coverage = args.includes('--coverage');
if (coverage && Number.parseInt(process.versions.node, 10) < 22) {
  console.error(`--coverage needs Node 22 or newer; this is ${process.versions.node}`);
  process.exit(1);
}

let child;
for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, () => child?.kill(signal));

const timing = files.filter((file) => file.includes('.timing.'));
const others = files.filter((file) => !timing.includes(file));
const codes = [await run(others, Math.max(1, Math.min(4, availableParallelism()))), await run(timing, 1)];
process.exit(Math.max(...codes));

/** Runs test files, at most `concurrency` at a time; resolves to the exit code. */
function run(paths, concurrency) {
  if (paths.length === 0) return Promise.resolve(0);
  child = spawn(
    process.execPath,
    [
      ...(coverage ? COVERAGE : ['--enable-source-maps']),
      '--test',
      `--test-concurrency=${concurrency}`,
      `--test-reporter=${args.includes('--tap') ? 'tap' : 'spec'}`,
      '--test-reporter-destination=stdout',
      ...(process.env.FAULT_RESULTS ? FAULTS_REPORTER : []),
      ...paths,
    ],
    { stdio: ['ignore', 'inherit', 'inherit'] },
  );
  return new Promise((resolve) => {
    child.on('exit', (code, signal) => resolve(signal ? 1 : (code ?? 1)));
  });
}
