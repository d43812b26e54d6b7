// Runs the compiled tests with node:test: `node scripts/test.mjs [options]`.
//   --kind quick|slow|nightly   which files, by their names (several times: several kinds); default quick, with --only any.
//                               *.slow.test.ts: part of .ci/run too. *.nightly.test.ts: minutes, part of .ci/nightly alone.
//   --only <part of a path>     the files whose path holds it (several times: any of them)
//   --timing no|only            *.timing.* measure time: they run last and one at a time, with the machine to themselves.
//                               `no` leaves them out, `only` runs nothing else.
//   --shard <n>/<of>            every <of>th file, from the <n>th on, for jobs beside each other
//   --jobs <n>                  files at a time; default: one more than there are cores, because many tests wait
//   --coverage                  of the compiled sources; needs Node 22 or newer, because that of Node 20 fails at some files
import { spawn } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { join, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { parseArgs } from 'node:util';

const build = process.env.BUILD_DIR ?? 'build';

/** Every test file of the build, by its path below __tests__ without ending, in the order of the alphabet. */
export function testFiles() {
  return readdirSync(join(build, '__tests__'), { recursive: true })
    .map(String)
    .filter((file) => file.endsWith('.test.js'))
    .map((file) => file.slice(0, -'.js'.length))
    .sort();
}

/** `quick`, `slow` or `nightly`. */
export function kindOf(file) {
  return /\.(slow|nightly)\.test$/.exec(file)?.[1] ?? 'quick';
}

/** True for a test that needs the machine to itself. */
export function measuresTime(file) {
  return file.includes('.timing.');
}

/** Runs test files; resolves to the exit code of the worst. */
export async function runTests(files, { jobs = availableParallelism() + 1, coverage = false } = {}) {
  const beside = files.filter((file) => !measuresTime(file));
  const codes = [
    await runBeside(beside, jobs, coverage),
    await runBeside(files.filter(measuresTime), 1, coverage),
  ];
  return Math.max(...codes);
}

/** Writes what the fault table is judged by, where FAULT_RESULTS names a file; see faults.mjs --from. */
const FAULTS_REPORTER = [
  '--test-reporter=./scripts/faults-reporter.mjs',
  '--test-reporter-destination=stderr',
];

/** Without source maps, which the coverage of Node cannot read for every file. */
function coverageFlags() {
  return ['--experimental-test-coverage', `--test-coverage-include=${join(build, 'src')}/**`];
}

let child;
function runBeside(files, jobs, coverage) {
  if (files.length === 0) return Promise.resolve(0);
  child = spawn(
    process.execPath,
    [
      ...(coverage ? coverageFlags() : ['--enable-source-maps']),
      '--test',
      `--test-concurrency=${jobs}`,
      '--test-reporter=spec',
      '--test-reporter-destination=stdout',
      ...(process.env.FAULT_RESULTS ? FAULTS_REPORTER : []),
      ...files.map((file) => join(build, '__tests__', `${file}.js`)),
    ],
    { stdio: ['ignore', 'inherit', 'inherit'] },
  );
  return new Promise((done) => {
    child.on('exit', (code, signal) => done(signal ? 1 : (code ?? 1)));
  });
}
for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, () => child?.kill(signal));

if (import.meta.url === pathToFileURL(resolve(process.argv[1] ?? '')).href) {
  const { values } = parseArgs({
    options: {
      kind: { type: 'string', multiple: true },
      only: { type: 'string', multiple: true },
      timing: { type: 'string' },
      shard: { type: 'string', default: '1/1' },
      jobs: { type: 'string' },
      coverage: { type: 'boolean' },
    },
  });
  if (values.coverage && Number.parseInt(process.versions.node, 10) < 22) {
    console.error(`--coverage needs Node 22 or newer; this is ${process.version}`);
    process.exit(2);
  }
  const files = chosen(values);
  if (files.length === 0) {
    console.error(`no test file below ${join(build, '__tests__')} matches; run "npm run compile" first?`);
    process.exit(1);
  }
  process.exit(
    await runTests(files, {
      ...(values.jobs === undefined ? {} : { jobs: Number(values.jobs) }),
      coverage: values.coverage === true,
    }),
  );
}

function chosen({ only, kind = only ? ['quick', 'slow', 'nightly'] : ['quick'], timing, shard }) {
  const wanted = testFiles()
    .filter((file) => kind.includes(kindOf(file)))
    .filter((file) => !only || only.some((part) => holds(`${file}.js`, part)))
    .filter((file) => timing === undefined || (timing === 'only') === measuresTime(file));
  const [number, of] = shard.split('/').map(Number);
  return wanted.filter((_, index) => index % of === number - 1);
}

/** True where the part begins a word of the path: `base/` is not in `database/`. */
function holds(path, part) {
  for (let at = path.indexOf(part); at >= 0; at = path.indexOf(part, at + 1))
    if (at === 0 || part.startsWith('.') || !/[a-z0-9]/i.test(path[at - 1])) return true;
  return false;
}
