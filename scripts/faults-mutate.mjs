// Proves that the tests of the fault table can fail: breaks the compiled program in one place at a time, in a copy,
// and runs the one test file that must notice. Fails where a test still passes, or where the place is not found.
// What is promised beside the table has the title of its test in the place of a row.
// `node scripts/faults-mutate.mjs [options]`; the compiled tree is taken from build/ (or BUILD_DIR).
//   --row <number>     only the places of this row (several times: of several)
//   --changed          only the places in sources, and those noticed by quick tests, that differ from main (changed.mjs)
//   --minutes <n>      begins no further one after <n> minutes, and tells how many were left; each commit begins at
//                      another place of the list, so that none is left for ever
import { spawnSync } from 'node:child_process';
import { cpSync, existsSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { changedFiles } from './changed.mjs';
import { rowsOf } from './faults-titles.mjs';
import { kindOf } from './test.mjs';

const mutation = (row, file, from, to, test) => ({ row, file, from, to, test });

/** What is broken, where, and which test file has to say so. Files and tests without src/, __tests__/ and .js. */
const MUTATIONS = [
  mutation(3, 'base/duration', '/^(\\d{1,9})', '/^(-?\\d{1,9})', 'settings/settings.test'),
  mutation(6, 'settings/database-url', 'if (ats > 1)', 'if (ats > 9)', 'settings/settings.test'),
  mutation(
    7,
    'settings/empty-connections',
    "mode !== 'redeploy' && why === undefined",
    'true',
    'settings/settings.test',
  ),
  mutation(
    8,
    'database/history/pending',
    'look.environment === environment)',
    'true)',
    'database/rules.test',
  ),
  mutation(10, 'settings/names', "if (ref.startsWith('-'))", 'if (false)', 'settings/settings.test'),
  mutation(
    17,
    'database/files/migration-files',
    'if (!again.equals(bytes))',
    'if (false)',
    'database/nasties.test',
  ),
  mutation(21, 'database/history/pending', 'newest) > 0)', 'newest) > -2)', 'database/rules.test'),
  mutation(34, 'database/files/psql-commands', 'harmless: /', 'harmless: true || /', 'database/nasties.test'),
  mutation(
    36,
    'database/apply/unit',
    "') is null then",
    "') is null and false then",
    'database/nasties.test',
  ),
  mutation(
    36,
    'database/apply/unit',
    'index, AS_BEFORE, context',
    "index, 'true', context",
    'database/nasties.test',
  ),
  mutation(
    44,
    'database/connection/sql-error',
    "if (error instanceof LostConnection)\n        return 'resolve';",
    "if (error instanceof LostConnection)\n        return 'retry';",
    'database/outcomes.test',
  ),
  mutation(
    44,
    'database/apply/apply',
    "if (!look)\n        return { kind: 'unknown', problem: COMMIT_UNKNOWN };",
    "if (!look)\n        return { kind: 'done', times };",
    'database/outcomes.test',
  ),
  mutation(
    44,
    'database/apply/part',
    "if (!look)\n        return 'unknown';",
    "if (!look)\n        return 'done';",
    'database/outcomes.test',
  ),
  mutation(49, 'database/connection/sql-error', "'55P03', ", '', 'database/outcomes.test'),
  mutation(53, 'database/apply/file-error', "'53100'", "'53101'", 'faults/database.test'),
  mutation(
    59,
    'database/apply/look-ups',
    '=> !before.indexes.includes(index));',
    '=> true);',
    'database/look-ups.test',
  ),
  mutation(
    69,
    'base/verified-tls',
    'rejectUnauthorized: true',
    'rejectUnauthorized: false',
    'database/tls.test',
  ),
  mutation(71, 'database/backup/pg-dump', "'verify-full'", "'require'", 'database/pg-dump-tls.nightly.test'),
  mutation(
    79,
    'vps/host-key',
    "=== 0 ? 'unknown' : 'changed'",
    "=== 0 ? 'unknown' : 'trusted'",
    'vps/connection.test',
  ),
  mutation(83, 'vps/private-key', "label?.endsWith('PUBLIC KEY')", 'false', 'vps/private-key.test'),
  mutation(90, 'vps/exec', 'const missing = dropped + cut;', 'const missing = 0;', 'vps/output.test'),
  mutation(91, 'base/redact', "'# #['", "'##['", 'base/redact.test'),
  mutation(103, 'worker/cutover/switch', 'await untrack(checkout, turn.untrack);', '', 'worker/turn.test'),
  mutation(103, 'worker/cutover/switch', 'await layAside(tools, turn, host);', '', 'worker/turn.test'),
  mutation(103, 'worker/cutover/switch', 'await freeIndex(checkout);', '', 'worker/turn.test'),
  mutation(103, 'worker/host/index-lock', 'holders.length === 0 && ', '', 'worker/turn.test'),
  mutation(103, 'worker/host/index-lock', "nameOf(pid) === 'git'", 'false', 'worker/turn.test'),
  mutation(104, 'worker/decide', '.find(({ release }) => isAvailable(release))', '[0]', 'worker/decide.test'),
  mutation(
    105,
    'worker/cutover/cutover',
    'return verifyVersion(found, context, stage.port, {\n                sha: from.sha,',
    'return undefined && verifyVersion(found, context, stage.port, {\n                sha: from.sha,',
    'worker/restart-command.test',
  ),
  mutation(108, 'web/judge-body', '!/^\\d+$/.test(value)', 'true', 'web/judge-body.test'),
  mutation(108, 'web/judge-body', 'if (said === false)', 'if (false)', 'web/judge-body.test'),
  mutation(
    109,
    'web/redirects',
    'to.host === new URL(publicOrigin).host',
    'to !== undefined',
    'web/redirects.test',
  ),
  mutation(109, 'web/redirects', 'if (to.origin !== from.origin)', 'if (false)', 'web/probe.test'),
  mutation(
    111,
    'web/check-state',
    'const ok = streak >= successes ||',
    'const ok = good > 0 ||',
    'web/probe.test',
  ),
  mutation(117, 'worker/decide', 'attempt === 1 && !wasLive', 'true', 'worker/decide.test'),
  mutation(
    127,
    'settings/secret-inputs',
    'forms.push(decodeURIComponent(password))',
    'forms.push(password)',
    'settings/settings.test',
  ),
  mutation(
    129,
    'base/whole-lines',
    'before = settled.before;\n                pass(settled.shown);',
    'pass(text);',
    'base/teller.test',
  ),
  mutation(
    129,
    'base/redact',
    'text.slice(from, span.from)}***',
    'text.slice(from, span.to)}',
    'base/teller.test',
  ),
  mutation(129, 'base/redact', 'span.from)}***', 'span.to)}', 'base/teller.test'),
  mutation(131, 'vps/requests', 'server: run.serverUrl', "server: 'https://github.com'", 'vps/requests.test'),
  mutation(131, 'programs', 'programEnvironment(process.env, env)', 'process.env', 'programs.test'),
  mutation(134, 'worker/record/release-name', '${randomBytes(4)', '${Buffer.alloc(4)', 'worker/plan.test'),
  mutation(134, 'worker/record/plan', 'from?.release === to.release', 'false', 'worker/plan.test'),
  mutation(
    135,
    'database/connection/postgres-connection',
    'const connecting = client.connect();\n    const listenNoMore = whenAborted(signal, () => void streamOf(client).destroy());',
    'const connecting = client.connect();\n    const listenNoMore = () => {};',
    'database/open.test',
  ),
  mutation(135, 'base/when-aborted', 'if (signal.aborted)', 'if (false)', 'base/when-aborted.test'),
  mutation(
    136,
    'database/apply/settle',
    'return cannotTell(part, sent, verdict.why);',
    "return 'not done';",
    'database/lost-answers.test',
  ),
  mutation(
    136,
    'database/apply/look-ups',
    'return there === true ? NOT_DONE : DONE;',
    'return NOT_DONE;',
    'database/lost-answers.test',
  ),
  mutation(136, 'database/apply/run-alone', 'unsettled = true;', '', 'database/lost-answers.test'),
  mutation(
    137,
    'worker/host/files',
    'while (rest.length > 0)\n        rest = rest.subarray(writeSync(fd, rest));',
    'writeSync(fd, rest);',
    'worker/full-disk.test',
  ),
  mutation(137, 'worker/host/files', 'ftruncateSync(fd, size);', '', 'worker/full-disk.test'),
  mutation(
    137,
    'worker/host/reserve',
    'throw error;\n            remove(file);',
    'throw error;',
    'worker/full-disk.test',
  ),
  mutation(
    137,
    'worker/teller',
    'lost++;\n            return false;',
    'throw new Error();',
    'worker/full-disk.test',
  ),
  mutation(137, 'worker/old-runs', 'RUNS_KEPT - 1', 'RUNS_KEPT', 'worker/old-runs.test'),
  mutation(
    138,
    'worker/record/run-folder',
    'existsSync(cancelMarkOf(state, run))',
    'false',
    'worker/runs.test',
  ),
  mutation(
    139,
    'worker/supervisor/restart-proof',
    "answered === 'old' && behind === 'old'",
    'false',
    'worker/restart-proof.test',
  ),
  mutation(
    139,
    'worker/supervisor/restart-proof',
    'earlier?.has(program)',
    'true',
    'worker/restart-proof.test',
  ),
  mutation(
    139,
    'worker/host/proc',
    'descendsFrom(pid, listeners)',
    'listeners.has(pid)',
    'worker/restart-proof.test',
  ),
  mutation(
    139,
    'worker/supervisor/command',
    "proof.verdict === 'not-restarted'",
    'false',
    'worker/restart-command.test',
  ),
  mutation(140, 'base/format', 'written > newest', 'written > 99', 'worker/formats.test'),
  mutation(
    140,
    'database/history/bookmark',
    '(not exists (select from',
    '(true or exists (select from',
    'database/formats.test',
  ),
  mutation(144, 'vps/exact-commit', 'if (named.length > 0)', 'if (false)', 'vps/exact-commit.test'),
  mutation(144, 'vps/exact-commit', '.size > 1)', '.size > 9)', 'vps/exact-commit.test'),
  mutation(145, 'base/teller', 'of shown(voice(entry)))', 'of voice(entry))', 'base/teller.test'),
  mutation(145, 'base/seal', 'timingSafeEqual(mac(', '(true || mac(', 'base/seal.test'),
  mutation(145, 'vps/run-events', 'opened.n > next', 'false', 'vps/run-events.test'),
  mutation(145, 'vps/run-events', 'opened.n < next', 'false', 'vps/run-events.test'),
  mutation(145, 'base/shape', 'known === undefined', 'false', 'vps/messages.test'),
  mutation(145, 'github/summary-tables', 'cell(host.outcome)', 'host.outcome', 'github/summary.test'),
  mutation(
    145,
    'worker/record/event-lines',
    'bytes.length === LONGEST_EVENT',
    'false',
    'worker/event-lines.test',
  ),
  mutation(
    146,
    'worker/host/trust',
    "(mode & 0o002) === 0 ? undefined : 'open'",
    'undefined',
    'worker/trust.test',
  ),
  mutation(146, 'vps/store-file', '[ -O "$f" ] || exit 66', ':', 'vps/files.test'),
  mutation(
    147,
    'worker/host/rights',
    '(mode >> 3) & mode & 0o007',
    '(mode >> 3) & 0o007',
    'worker/trust.test',
  ),
  mutation(148, 'settings/run-identity', 'head !== here', 'false', 'settings/run-identity.test'),
  mutation(148, 'vps/provenance', "kind: 'foreign' }", "kind: 'own' }", 'vps/provenance.test'),
  mutation(149, 'database/connection/https-request', '...VERIFIED_TLS,', '', 'faults/tls.test'),
  mutation(150, 'base/redact', ".replace(ESCAPES, '')", '', 'base/redact.test'),
  mutation(150, 'base/redact', 'form.startsWith(text.slice(from))', 'false', 'base/redact.test'),
  mutation(150, 'base/secret', 'of keyLines(value)', 'of []', 'base/redact.test'),
  mutation(
    151,
    'database/files/project-folder',
    'if (!target.startsWith(tree))',
    'if (false)',
    'database/down-files.test',
  ),
  mutation(152, 'github/comment', 'user?.id === us', 'true', 'github/api.test'),
  mutation(167, 'web/check-state', 'if (state.limited > 0)', 'if (false)', 'web/limits.test'),
  mutation(167, 'base/request-budget', '> now - WINDOW', '> now', 'base/request-budget.test'),
  mutation(167, 'web/ask-assets', '!known.has(pathOf(url))', 'true', 'web/limits.test'),
  mutation(167, 'worker/host/downtime', 'used >= (last ? most : most - 1)', 'false', 'worker/downtime.test'),
  mutation(170, 'web/page', '[400, 401, 403, 404, 405, 421]', '[401, 404, 405]', 'web/own-host.test'),
  mutation(170, 'web/page', "'x-forwarded-proto': ", "'x-forwarded-port': ", 'web/own-host.test'),
  mutation(
    'a rollback brings back the environment file as it was when the version left',
    'worker/rollback',
    '...(note?.envFiles ?? [])',
    '',
    'worker/in-place.test',
  ),
  mutation(
    167,
    'web/asset-check',
    'stillBad([...asked.bad, ...bad], linked, assets.known())',
    'asked.bad',
    'web/limits.test',
  ),
];

const { values: options } = parseArgs({
  options: {
    row: { type: 'string', multiple: true },
    changed: { type: 'boolean' },
    minutes: { type: 'string', default: 'Infinity' },
  },
});
const build = resolve(process.env.BUILD_DIR ?? 'build');
if (!existsSync(join(build, 'src'))) {
  console.error(`${build} holds no compiled program; run "npm run compile" first`);
  process.exit(1);
}
const folder = mkdtempSync(join(tmpdir(), 'muva-mutate-'));
let survived = 0;
try {
  symlinkSync(resolve('node_modules'), join(folder, 'node_modules'));
  const tree = join(folder, 'tree');
  cpSync(build, tree, { recursive: true });
  const healthy = new Map();
  const changed = options.changed ? new Set(changedFiles()) : undefined;
  const chosen = rotated(
    MUTATIONS.filter(
      ({ row, file, test }) =>
        (!options.row || options.row.includes(String(row))) && (!changed || concerns(changed, file, test)),
    ),
  );
  let broken = 0;
  for (const each of chosen) {
    if (performance.now() > Number(options.minutes) * 60_000) break;
    broken++;
    if (!healthy.has(each.test)) healthy.set(each.test, run(tree, each.test));
    const verdict = tryOut(tree, each, healthy.get(each.test));
    if (verdict.wrong) survived++;
    console.log(
      `${nameOf(each.row)}  ${verdict.wrong ? 'SURVIVED' : 'noticed '}  ${each.file}: ${verdict.words}`,
    );
  }
  console.log(`\n${broken} places broken, ${broken - survived} noticed`);
  if (broken < chosen.length) console.log(`${chosen.length - broken} more are left to .ci/nightly`);
} finally {
  rmSync(folder, { recursive: true, force: true });
}
process.exit(survived === 0 ? 0 : 1);

/** Slow tests take minutes for each break: those are for the night. */
function concerns(changed, file, test) {
  if (kindOf(test) !== 'quick') return false;
  return changed.has(`src/${file}.ts`) || changed.has(`__tests__/${test}.ts`);
}

/** The list from another place on for each commit. */
function rotated(list) {
  const head = spawnSync('git', ['rev-parse', 'HEAD'], { encoding: 'utf8' }).stdout.slice(0, 8);
  const start = list.length === 0 ? 0 : Number.parseInt(head || '0', 16) % list.length;
  return [...list.slice(start), ...list.slice(0, start)];
}

/** Breaks one place, runs its test, and puts the place back. */
function tryOut(tree, { row, file, from, to, test }, healthy) {
  if (!passes(healthy, row))
    return { wrong: true, words: `${test} has no passing test of this row as it is` };
  const path = join(tree, 'src', `${file}.js`);
  const source = readFileSync(path, 'utf8');
  const places = source.split(from).length - 1;
  if (places !== 1) return { wrong: true, words: `holds ${JSON.stringify(from)} ${places} times, not once` };
  const what = `${from} -> ${to === '' ? 'nothing' : to}`;
  writeFileSync(
    path,
    source.replace(from, () => to),
  );
  try {
    const results = run(tree, test, row);
    const failed = results.filter(({ title, outcome }) => belongsTo(title, row) && outcome === 'failed');
    if (failed.length === 0) return { wrong: true, words: `${test} passes with ${what}` };
    return { wrong: false, words: `${what}, by "${failed[0].title.slice(0, 70)}"` };
  } finally {
    writeFileSync(path, source);
  }
}

/** `row`: a number, or the title of a test. */
function belongsTo(title, row) {
  return typeof row === 'number' ? rowsOf(title).includes(row) : title === row;
}

function nameOf(row) {
  return typeof row === 'number' ? `row ${String(row).padStart(3)}` : 'no row ';
}

function passes(results, row) {
  const own = results.filter(({ title }) => belongsTo(title, row));
  return own.length > 0 && own.every(({ outcome }) => outcome === 'passed');
}

/** Runs one test file of the tree, or only the tests of one row in it; their results. */
function run(tree, test, row) {
  const results = join(folder, 'results');
  writeFileSync(results, '');
  const pattern = typeof row === 'number' ? `/(^|: )rows? (.*\\D)?${row}(\\D|$)/` : row;
  const only = row === undefined ? [] : [`--test-name-pattern=${pattern}`];
  spawnSync(
    process.execPath,
    [
      '--test',
      '--test-reporter=./scripts/faults-reporter.mjs',
      '--test-reporter-destination=stdout',
      ...only,
      join(tree, '__tests__', `${test}.js`),
    ],
    {
      env: { ...process.env, FAULT_RESULTS: results },
      stdio: ['ignore', 'ignore', 'inherit'],
      timeout: 600_000,
    },
  );
  return readFileSync(results, 'utf8')
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line));
}
