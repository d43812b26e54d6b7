// `npm run check`: what tells most in a minute or two, before a commit. Lint, types, documents; every quick test that
// needs no server; and of those that start one, the nearest to what changed. All the others are run by .ci/run.
//   --since <commit>   what counts as changed; default: since this branch left main (see changed.mjs)
import { spawn } from 'node:child_process';
import { parseArgs } from 'node:util';
import { changedFiles } from './changed.mjs';
import { importGraph, reachedFrom, withoutEnding } from './imports.mjs';
import { kindOf, measuresTime, runTests, testFiles } from './test.mjs';

/** Test files with servers that one check runs: each takes 5 to 40 s, and the whole has to end in 90. */
const MOST_WITH_SERVERS = 5;

const { values: options } = parseArgs({ options: { since: { type: 'string' } } });
const started = performance.now();

// Linting needs nothing of the compiler, and the documents are checked against what it made.
const lint = run('lint', 'npx', 'biome', 'check', '--error-on-warnings');
const compiled = await run('types', process.execPath, 'scripts/compile.mjs');
if (!compiled) finish([await lint, compiled]);
const documents = run('documents', process.execPath, 'scripts/docs.mjs', '--check');
const faults = run('page of faults', process.execPath, 'scripts/faults.mjs', '--check');
const { files, left } = chooseTests(changedFiles(options.since));
const checked = await Promise.all([lint, documents, faults]);
const tested = (await runTests(files)) === 0;
if (left.length > 0)
  console.log(
    `\n${left.length} more test files reach what changed; .ci/run runs them: ${left.slice(0, 8).join(', ')}${left.length > 8 ? ', ...' : ''}`,
  );
finish([...checked, tested]);

/** The tests to run, and those with servers that reach the change but are too many for a check. */
function chooseTests(changed) {
  const graph = importGraph(process.env.BUILD_DIR ?? 'build');
  const modules = new Set(changed.map(withoutEnding));
  const quick = testFiles().filter((file) => kindOf(file) === 'quick' && !measuresTime(file));
  // What runs the bundle tells nothing of sources that are not bundled yet.
  const ownCode = quick.filter((file) => !file.startsWith('bundle/'));
  const alone = ownCode.filter((file) => !startsServers(graph, `__tests__/${file}`));
  const concerned = ownCode
    .filter((file) => !alone.includes(file))
    .map((file) => ({ file, distance: distanceTo(graph, `__tests__/${file}`, modules) }))
    .filter(({ distance }) => distance !== undefined)
    .sort((a, b) => a.distance - b.distance || a.file.localeCompare(b.file))
    .map(({ file }) => file);
  return {
    files: [...alone, ...concerned.slice(0, MOST_WITH_SERVERS)],
    left: concerned.slice(MOST_WITH_SERVERS),
  };
}

function startsServers(graph, test) {
  return [...reachedFrom(graph, test)].some((module) => module.startsWith('__tests__/servers/'));
}

/** How many imports lie between a module and the nearest of some others; undefined where none is reached. */
function distanceTo(graph, start, wanted) {
  const distances = new Map([[start, 0]]);
  for (const [module, distance] of distances) {
    if (wanted.has(module)) return distance;
    for (const next of graph.get(module) ?? []) if (!distances.has(next)) distances.set(next, distance + 1);
  }
  return undefined;
}

/** Runs one program; its output is shown where it fails. Resolves to whether it passed. */
function run(name, program, ...args) {
  const child = spawn(program, args, { stdio: ['ignore', 'pipe', 'pipe'] });
  let output = '';
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (text) => (output += text));
  return new Promise((done) => {
    child.on('error', (error) => (output += error.message));
    child.on('close', (code) => {
      console.log(`${code === 0 ? 'passed' : 'FAILED'}  ${name}`);
      if (code !== 0) console.log(output);
      done(code === 0);
    });
  });
}

function finish(outcomes) {
  const seconds = Math.round((performance.now() - started) / 1_000);
  const passed = outcomes.every(Boolean);
  console.log(`\ncheck ${passed ? 'passed' : 'FAILED'} in ${seconds} s`);
  process.exit(passed ? 0 : 1);
}
