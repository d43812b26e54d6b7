// The fault table: `node scripts/faults.mjs` runs every test whose title names a row and prints all rows with outcome
// and time; it fails where one is missing, failed or skipped. The compiled tests are taken from build/ (or BUILD_DIR).
// `--from <file>` judges results that earlier runs wrote (FAULT_RESULTS, see faults-reporter.mjs) instead of running.
// `--write` makes docs/faults.md again, `--check` fails where it differs; neither runs a test.
import { spawn } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { availableParallelism, tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { GROUPS, OUTCOMES, ROWS } from './faults-table.mjs';
import { filesByRow, rowsOf, testFilesWithRows } from './faults-titles.mjs';

const PAGE = 'docs/faults.md';
const { values: options } = parseArgs({
  options: {
    write: { type: 'boolean' },
    check: { type: 'boolean' },
    from: { type: 'string', multiple: true },
  },
});

if (options.write || options.check) {
  const complaints = checkTable();
  const page = pageOf();
  if (options.write) writeFileSync(PAGE, page);
  else if (!existsSync(PAGE) || readFileSync(PAGE, 'utf8') !== page)
    complaints.push(
      `${PAGE} is not what scripts/faults-table.mjs and the tests make; run: npm run faults -- --write`,
    );
  for (const complaint of complaints) console.error(complaint);
  if (complaints.length > 0) process.exit(1);
  console.log(`${PAGE}: ${ROWS.length} rows`);
} else {
  const wrong = judge(options.from ? readResults(options.from) : await runTests());
  if (process.exitCode && wrong === 0) console.error('a test failed outside of the rows; see above');
  process.exit(wrong === 0 ? (process.exitCode ?? 0) : 1);
}

/** Prints every row with what its tests gave; the number of rows that are not as they should be. */
function judge(results) {
  const byRow = new Map(ROWS.map(({ number }) => [number, []]));
  for (const result of results) for (const number of rowsOf(result.title)) byRow.get(number)?.push(result);
  let wrong = 0;
  for (const { title, rows } of GROUPS) {
    console.log(`\n${title}`);
    for (const { number, fault, untested } of rows) {
      const ran = byRow.get(number);
      const outcome = outcomeOf(ran, untested);
      if (outcome !== 'passed' && outcome !== 'not produced') wrong++;
      const took = ran.filter(({ suite }) => !suite).reduce((sum, each) => sum + each.milliseconds, 0);
      const time = ran.length === 0 ? '' : `${Math.round(took)} ms`;
      const why = untested && ran.length === 0 ? ` (${untested})` : '';
      console.log(
        `${String(number).padStart(4)}  ${outcome.padEnd(12)} ${time.padStart(10)}  ${String(ran.length).padStart(3)}  ${fault}${why}`,
      );
      for (const each of ran.filter((result) => result.outcome !== 'passed'))
        console.log(`${' '.repeat(6)}${each.outcome}: ${each.title}`);
    }
  }
  console.log(`\n${ROWS.length} rows, ${ROWS.length - wrong} as promised, ${wrong} not`);
  return wrong;
}

function outcomeOf(ran, untested) {
  if (ran.length === 0) return untested ? 'not produced' : 'MISSING';
  if (ran.some(({ outcome }) => outcome === 'failed')) return 'FAILED';
  return ran.every(({ outcome }) => outcome === 'passed') ? 'passed' : 'SKIPPED';
}

/** Runs the test files that hold rows; resolves to their results. */
async function runTests() {
  const build = process.env.BUILD_DIR ?? 'build';
  const paths = testFilesWithRows().map((path) => join(build, path.replace(/\.ts$/, '.js')));
  const missing = paths.filter((path) => !existsSync(path));
  if (missing.length > 0) {
    console.error(`not compiled: ${missing.join(', ')}; run "npm run compile" first`);
    process.exit(1);
  }
  const folder = mkdtempSync(join(tmpdir(), 'muva-faults-'));
  const results = join(folder, 'results');
  writeFileSync(results, '');
  try {
    const code = await spawned(
      [
        '--enable-source-maps',
        '--test',
        `--test-concurrency=${Math.max(1, Math.min(4, availableParallelism()))}`,
        '--test-reporter=spec',
        '--test-reporter-destination=stdout',
        '--test-reporter=./scripts/faults-reporter.mjs',
        '--test-reporter-destination=stderr',
        ...paths,
      ],
      { ...process.env, FAULT_RESULTS: results },
    );
    // A file that failed outside of its rows (in a hook, at its exit) is no proof for any of them.
    if (code !== 0) process.exitCode = 1;
    return readResults([results]);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** Resolves to the exit code; undefined or null where a signal ended it. */
function spawned(args, env) {
  const child = spawn(process.execPath, args, { env, stdio: ['ignore', 'inherit', 'inherit'] });
  for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, () => child.kill(signal));
  return new Promise((resolve) => child.once('exit', resolve));
}

function readResults(files) {
  return files.flatMap((file) =>
    readFileSync(file, 'utf8')
      .split('\n')
      .filter((line) => line !== '')
      .map((line) => JSON.parse(line)),
  );
}

/** What is wrong with the table itself: numbers, outcomes, and words that the program does not say. */
function checkTable() {
  const sources = readdirSync('src', { recursive: true })
    .map((file) => join('src', String(file)))
    .filter((path) => path.endsWith('.ts') && !path.endsWith('spanish-advice.ts'))
    .map((path) => readFileSync(path, 'utf8'))
    .join('\n');
  const files = filesByRow();
  return ROWS.flatMap(({ number, outcome, told, untested }, index) => [
    ...(index === 0 || number > ROWS[index - 1].number
      ? []
      : [`row ${number} stands behind row ${ROWS[index - 1].number}`]),
    ...(outcome in OUTCOMES ? [] : [`row ${number}: "${outcome}" is no outcome`]),
    ...[...told.matchAll(/`([^`]+)`/g)]
      .filter(([, words]) => !sources.includes(words))
      .map(([, words]) => `row ${number}: nothing in src says "${words}"`),
    ...(files.has(number) || untested ? [] : [`row ${number} has neither a test nor a reason`]),
    ...(files.get(number)?.every((path) => path.includes('.nightly.'))
      ? [`row ${number} has nightly tests only, and .ci/run holds every row`]
      : []),
    ...(files.has(number) && untested ? [`row ${number} has a test and a reason not to have one`] : []),
  ]);
}

function pageOf() {
  const files = filesByRow();
  const lines = [
    '# Faults, and what is promised for each',
    '',
    '<!-- Made by scripts/faults.mjs from scripts/faults-table.mjs and the titles of the tests; not edited by hand. -->',
    '',
    'Every row is a fault that has been seen in real deployments. Its test produces it for real (a server that is killed, a',
    'connection that is cut, a file that is broken) and holds the outcome. `npm run faults` runs them all.',
    'Words in the column "What you are told" that look `like this` are the program\'s own; many are explained in',
    '[troubleshooting](troubleshooting.md).',
    '',
    '| Outcome | Meaning |',
    '| --- | --- |',
    ...Object.entries(OUTCOMES).map(([name, meaning]) => `| ${name} | ${meaning} |`),
  ];
  for (const { title, rows } of GROUPS) {
    lines.push(
      '',
      `## ${title}`,
      '',
      '| | Fault | Outcome | What you are told | Test |',
      '| --- | --- | --- | --- | --- |',
    );
    for (const { number, fault, outcome, told, untested } of rows) {
      const tests = (files.get(number) ?? []).map((path) => `[${shortName(path)}](../${path})`).join(', ');
      const cells = [String(number), fault, outcome, told, untested ? `not produced: ${untested}` : tests];
      lines.push(`| ${cells.map((cell) => cell.replaceAll('|', '\\|')).join(' | ')} |`);
    }
  }
  return `${lines.join('\n')}\n`;
}

function shortName(path) {
  return path.replace(/^__tests__\//, '').replace(/(\.timing)?(\.slow|\.nightly)?(\.test)?\.ts$/, '');
}
