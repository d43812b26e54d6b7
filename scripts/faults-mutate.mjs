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
  mutation(3, 'lib/duration', '/^(\\d{1,9})', '/^(-?\\d{1,9})', 'inputs/settings.test'),
  mutation(6, 'inputs/checks/database-url', 'if (ats > 1)', 'if (ats > 9)', 'inputs/settings.test'),
  mutation(
    7,
    'inputs/checks/empty-connections',
    "mode !== 'redeploy' && why === undefined",
    'true',
    'inputs/settings.test',
  ),
  mutation(
    8,
    'database/history/pending-files',
    'look.environment === environment)',
    'true)',
    'database/rules.test',
  ),
  mutation(10, 'inputs/checks/names', "if (ref.startsWith('-'))", 'if (false)', 'inputs/settings.test'),
  mutation(
    17,
    'database/migrations/migration-files',
    'if (!again.equals(bytes))',
    'if (false)',
    'database/nasties.test',
  ),
  mutation(21, 'database/history/pending-files', 'newest) > 0)', 'newest) > -2)', 'database/rules.test'),
  mutation(
    28,
    'database/migrations/transaction-control',
    'found.parts.push({ ...part, end: statement.to });',
    'continue;',
    'database/migrations/transaction-control.test',
  ),
  mutation(28, 'database/apply/lease', 'file.shape.sessionBound.length > 0', 'false', 'faults/database.test'),
  mutation(
    29,
    'database/migrations/transaction-control',
    "warn(statement, 'COMMIT without",
    "refuse(statement, 'COMMIT without",
    'database/nasties.test',
  ),
  mutation(
    32,
    'database/migrations/partitioned',
    'node.partspec !== undefined',
    'false',
    'database/migrations/transaction-control.test',
  ),
  mutation(153, 'database/history/same-version', 'row.name === file.name', 'true', 'database/rules.test'),
  mutation(
    154,
    'database/schema/already-there',
    'lacking === 0 && standing.size > 0',
    'standing.size > 0',
    'database/already-there.test',
  ),
  mutation(
    160,
    'database/schema/drift',
    'withoutPartitioning(compareObjects(before, now))',
    'compareObjects(before, now)',
    'database/reports.slow.test',
  ),
  mutation(
    161,
    'database/connection/acting-role',
    'if (role === undefined',
    'if (true',
    'database/hosted.slow.test',
  ),
  mutation(
    155,
    'database/migrations/classify',
    'if (section)',
    'if (false)',
    'database/migrations/other-tools.test',
  ),
  mutation(
    156,
    'database/migrations/batches',
    'unchecked.has(constraint)',
    'false',
    'database/reports.slow.test',
  ),
  mutation(157, 'database/apply/blockers', 'or a.backend_xmin is not null', '', 'faults/database.test'),
  mutation(158, 'database/connection/exchange', '2BP01|', '', 'database/reports.slow.test'),
  mutation(162, 'database/lint/run-statements', 'parseBody(body.source)', '[]', 'database/lint/lint.test'),
  mutation(
    160,
    'database/schema/fingerprint-sql',
    "where o ~ '^(n_distinct|n_distinct_inherited)='",
    '',
    'database/schema/fingerprint.test',
  ),
  mutation(
    163,
    'database/apply/server-notices',
    "severity !== 'WARNING' &&",
    '',
    'database/reports.slow.test',
  ),
  mutation(
    34,
    'database/migrations/psql-commands',
    'harmless: /',
    'harmless: true || /',
    'database/nasties.test',
  ),
  mutation(
    36,
    'database/apply/migration-statement',
    "') is null then",
    "') is null and false then",
    'database/nasties.test',
  ),
  mutation(
    36,
    'database/apply/migration-statement',
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
    'database/apply/implicit-transaction',
    "if (!look)\n        return { kind: 'unknown', problem: COMMIT_UNKNOWN };",
    "if (!look)\n        return { kind: 'done', times };",
    'database/outcomes.test',
  ),
  mutation(
    44,
    'database/apply/file-part',
    "if (!look)\n        return 'unknown';",
    "if (!look)\n        return 'done';",
    'database/outcomes.test',
  ),
  mutation(49, 'database/connection/sql-error', "'55P03', ", '', 'database/outcomes.test'),
  mutation(53, 'database/apply/next-action', "'53100'", "'53101'", 'faults/database.test'),
  mutation(
    59,
    'database/apply/statement-outcome',
    '=> !before.indexes.includes(index));',
    '=> true);',
    'database/apply/statement-outcome.test',
  ),
  mutation(
    69,
    'lib/verified-tls',
    'rejectUnauthorized: true',
    'rejectUnauthorized: false',
    'database/connection/tls.test',
  ),
  mutation(71, 'database/backup/pg-dump', "'verify-full'", "'require'", 'database/pg-dump-tls.nightly.test'),
  mutation(
    79,
    'server/ssh/host-key',
    "=== 0 ? 'unknown' : 'changed'",
    "=== 0 ? 'unknown' : 'trusted'",
    'server/ssh/connection.test',
  ),
  mutation(
    83,
    'server/ssh/private-key',
    "label?.endsWith('PUBLIC KEY')",
    'false',
    'server/ssh/private-key.test',
  ),
  mutation(
    90,
    'server/ssh/exec',
    'const missing = dropped + cut;',
    'const missing = 0;',
    'server/output.test',
  ),
  mutation(91, 'lib/redact', "'# #['", "'##['", 'lib/redact.test'),
  mutation(
    103,
    'worker/cutover/switch',
    'await untrack(checkout, turn.untrack);',
    '',
    'worker/checkout-turn.test',
  ),
  mutation(
    103,
    'worker/cutover/switch',
    'await layAside(tools, turn, host);',
    '',
    'worker/checkout-turn.test',
  ),
  mutation(103, 'worker/cutover/switch', 'await freeIndex(checkout);', '', 'worker/checkout-turn.test'),
  mutation(103, 'worker/host/git-index-lock', 'holders.length === 0 && ', '', 'worker/checkout-turn.test'),
  mutation(
    103,
    'worker/host/git-index-lock',
    "processName(pid) === 'git'",
    'false',
    'worker/checkout-turn.test',
  ),
  mutation(
    104,
    'worker/run/decide',
    '.find(({ release }) => isAvailable(release))',
    '[0]',
    'worker/run/decide.test',
  ),
  mutation(
    105,
    'worker/cutover/cutover',
    'return verifyVersion(found, context, found.facts.port',
    'return undefined && verifyVersion(found, context, found.facts.port',
    'worker/restart-command.test',
  ),
  mutation(108, 'http/judge-answer', '!/^\\d+$/.test(value)', 'true', 'http/judge-answer.test'),
  mutation(108, 'http/judge-answer', 'if (said === false)', 'if (false)', 'http/judge-answer.test'),
  mutation(
    109,
    'http/redirects',
    'to.host === new URL(publicOrigin).host',
    'to !== undefined',
    'http/redirects.test',
  ),
  mutation(109, 'http/redirects', 'if (to.origin !== from.origin)', 'if (false)', 'http/check-health.test'),
  mutation(
    111,
    'http/check-state',
    'const ok = streak >= successes ||',
    'const ok = good > 0 ||',
    'http/check-health.test',
  ),
  mutation(117, 'worker/run/decide', 'attempt === 1 && !wasLive', 'true', 'worker/run/decide.test'),
  mutation(
    127,
    'inputs/secret-inputs',
    'forms.push(decodeURIComponent(password))',
    'forms.push(password)',
    'inputs/settings.test',
  ),
  mutation(
    129,
    'lib/whole-lines',
    'before = settled.before;\n                pass(settled.shown);',
    'pass(text);',
    'report/log-printer.test',
  ),
  mutation(
    129,
    'lib/redact',
    'text.slice(from, span.from)}***',
    'text.slice(from, span.to)}',
    'report/log-printer.test',
  ),
  mutation(129, 'lib/redact', 'span.from)}***', 'span.to)}', 'report/log-printer.test'),
  mutation(
    131,
    'server/worker-requests',
    'server: run.serverUrl',
    "server: 'https://github.com'",
    'server/worker-requests.test',
  ),
  mutation(
    131,
    'lib/local-programs',
    'programEnvironment(process.env, env)',
    'process.env',
    'lib/local-programs.test',
  ),
  mutation(
    134,
    'worker/state/release-name',
    '${randomBytes(4)',
    '${Buffer.alloc(4)',
    'worker/state/plan.test',
  ),
  mutation(134, 'worker/state/plan', 'from?.release === to.release', 'false', 'worker/state/plan.test'),
  mutation(
    135,
    'database/connection/postgres-connection',
    'const connecting = client.connect();\n    const listenNoMore = whenAborted(signal, () => void streamOf(client).destroy());',
    'const connecting = client.connect();\n    const listenNoMore = () => {};',
    'database/connection/open.test',
  ),
  mutation(135, 'lib/when-aborted', 'if (signal.aborted)', 'if (false)', 'lib/when-aborted.test'),
  mutation(
    136,
    'database/apply/resolve-statement',
    'return cannotTell(part, sent, verdict.why);',
    "return 'not done';",
    'database/lost-answers.test',
  ),
  mutation(
    136,
    'database/apply/statement-outcome',
    'return there === true ? NOT_DONE : DONE;',
    'return NOT_DONE;',
    'database/lost-answers.test',
  ),
  mutation(
    136,
    'database/apply/run-non-transactional',
    'unsettled = true;',
    '',
    'database/lost-answers.test',
  ),
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
    'worker/host/disk-reserve',
    'throw error;\n            removePath(file);',
    'throw error;',
    'worker/full-disk.test',
  ),
  mutation(
    137,
    'worker/run/reporter',
    'lost++;\n            return false;',
    'throw new Error();',
    'worker/full-disk.test',
  ),
  mutation(137, 'worker/run/prune-runs', 'RUNS_KEPT - 1', 'RUNS_KEPT', 'worker/run/prune-runs.test'),
  mutation(
    138,
    'worker/state/run-folder',
    'existsSync(cancelMarkOf(state, run))',
    'false',
    'worker/runs.test',
  ),
  mutation(
    139,
    'worker/supervisor/restart-proof',
    "answered === 'old' && behind === 'old'",
    'false',
    'worker/supervisor/restart-proof.test',
  ),
  mutation(
    139,
    'worker/supervisor/restart-proof',
    'earlier?.has(program)',
    'true',
    'worker/supervisor/restart-proof.test',
  ),
  mutation(
    139,
    'worker/host/processes',
    'descendsFrom(pid, listeners)',
    'listeners.has(pid)',
    'worker/supervisor/restart-proof.test',
  ),
  mutation(
    139,
    'worker/supervisor/command',
    "proof.verdict === 'not-restarted'",
    'false',
    'worker/restart-command.test',
  ),
  mutation(140, 'lib/record-format', 'written > newest', 'written > 99', 'worker/state/record-formats.test'),
  mutation(
    140,
    'database/history/deploy-tables',
    '(not exists (select from',
    '(true or exists (select from',
    'database/history/table-formats.test',
  ),
  mutation(
    144,
    'server/checkout/exact-commit',
    'if (named.length > 0)',
    'if (false)',
    'server/checkout/exact-commit.test',
  ),
  mutation(
    144,
    'server/checkout/exact-commit',
    '.size > 1)',
    '.size > 9)',
    'server/checkout/exact-commit.test',
  ),
  mutation(
    145,
    'report/log-printer',
    'of safeLines(formatLogEntry(entry)))',
    'of formatLogEntry(entry))',
    'report/log-printer.test',
  ),
  mutation(145, 'lib/seal', 'timingSafeEqual(mac(', '(true || mac(', 'lib/seal.test'),
  mutation(145, 'server/run-events', 'opened.n > next', 'false', 'server/run-events.test'),
  mutation(145, 'server/run-events', 'opened.n < next', 'false', 'server/run-events.test'),
  mutation(145, 'lib/json-shape', 'known === undefined', 'false', 'server/worker-messages.test'),
  mutation(
    145,
    'report/summary/tables',
    'tableCell(host.outcome)',
    'host.outcome',
    'report/summary/summary.test',
  ),
  mutation(
    145,
    'worker/state/event-lines',
    'bytes.length === LONGEST_EVENT',
    'false',
    'worker/state/event-lines.test',
  ),
  mutation(
    146,
    'worker/host/trusted-paths',
    "(mode & 0o002) === 0 ? undefined : 'open'",
    'undefined',
    'worker/host/trusted-paths.test',
  ),
  mutation(146, 'server/fleet/store-file', '[ -O "$f" ] || exit 66', ':', 'server/files.test'),
  mutation(
    147,
    'worker/host/permissions',
    '(mode >> 3) & mode & 0o007',
    '(mode >> 3) & 0o007',
    'worker/host/trusted-paths.test',
  ),
  mutation(148, 'inputs/run-identity', 'head !== here', 'false', 'inputs/run-identity.test'),
  mutation(
    148,
    'server/checkout/provenance',
    "kind: 'foreign' }",
    "kind: 'own' }",
    'server/checkout/provenance.test',
  ),
  mutation(149, 'database/connection/https-request', '...VERIFIED_TLS,', '', 'faults/tls.test'),
  mutation(150, 'lib/redact', ".replace(ESCAPES, '')", '', 'lib/redact.test'),
  mutation(150, 'lib/redact', 'form.startsWith(text.slice(from))', 'false', 'lib/redact.test'),
  mutation(150, 'lib/secret', 'of keyLines(value)', 'of []', 'lib/redact.test'),
  mutation(
    151,
    'database/migrations/project-folder',
    'if (!target.startsWith(tree))',
    'if (false)',
    'database/migrations/down-files.test',
  ),
  mutation(152, 'github/comment', 'user?.id === us', 'true', 'github/api.test'),
  mutation(
    164,
    'worker/host-state/live-version',
    '.find((fact) => !isDeaf(fact))',
    '[0]',
    'worker/host-state/live-version.test',
  ),
  mutation(
    164,
    'worker/host-state/live-version',
    " || fault === 'tls'",
    '',
    'worker/host-state/live-version.test',
  ),
  mutation(
    164,
    'worker/cutover/cutover',
    'heldTo(request.health, found.liveHealth)',
    'request.health',
    'worker/nothing-proves.slow.test',
  ),
  mutation(
    165,
    'worker/supervisor/pm2-renewal',
    "|| holder === 'application'",
    '',
    'worker/supervisor/pm2-renewal.test',
  ),
  mutation(
    165,
    'worker/supervisor/pm2-watch',
    '(sample?.restarts ?? restarts) + 1',
    '(sample?.restarts ?? restarts)',
    'worker/supervisor/pm2-renewal.test',
  ),
  mutation(
    166,
    'worker/supervisor/pm2-following',
    'followed(changed, gone, next, { ...stored.env, ...will })',
    'followed(changed, gone, next, will)',
    'worker/supervisor/pm2-following.test',
  ),
  mutation(
    166,
    'worker/cutover/cutover',
    'kept: plan.entry?.from',
    'kept: undefined',
    'worker/ecosystem-follows.nightly.test',
  ),
  mutation(
    168,
    'worker/supervisor/pm2-look',
    "portless === 'health-from' && ",
    'false && ',
    'worker/supervisor/pm2-port.test',
  ),
  mutation(
    168,
    'worker/cutover/cutover',
    'onRestart: (program) => restarted.push(program)',
    'onRestart: () => undefined',
    'worker/portless.nightly.test',
  ),
  mutation(167, 'http/check-state', 'if (state.limited > 0)', 'if (false)', 'http/limits.test'),
  mutation(167, 'lib/request-budget', '> now - WINDOW', '> now', 'lib/request-budget.test'),
  mutation(167, 'http/ask-assets', '!known.has(urlPath(url))', 'true', 'http/limits.test'),
  mutation(168, 'worker/build/rehearse', ", 'ipc']", ']', 'worker/graceful-start.test'),
  mutation(
    169,
    'worker/host/inherit-rights',
    'lchownSync(path, stats.uid, was.gid)',
    'undefined',
    'worker/host/inherit-rights.test',
  ),
  mutation(
    172,
    'worker/host-files/local-changes',
    'dirty.filter((path) => !isRewritten(path))',
    'dirty',
    'worker/rewritten-files.test',
  ),
  mutation(
    175,
    'pipeline/decide',
    "if (broken)\n            return 'rollback-failed';\n        if (rollback.facts",
    'if (rollback.facts',
    'pipeline/decide.test',
  ),
  mutation(175, 'lib/merge-facts', "fact['deployed-sha'] !== undefined", 'false', 'pipeline/decide.test'),
  mutation(
    167,
    'worker/host/downtime',
    'used >= (last ? most : most - 1)',
    'false',
    'worker/host/downtime.test',
  ),
  mutation(170, 'http/find-page', '[400, 401, 403, 404, 405, 421]', '[401, 404, 405]', 'http/own-host.test'),
  mutation(170, 'http/find-page', "'x-forwarded-proto': ", "'x-forwarded-port': ", 'http/own-host.test'),
  mutation(
    'a rollback brings back the environment file as it was when the version left',
    'worker/run/rollback',
    '...(note?.envFiles ?? [])',
    '',
    'worker/in-place.test',
  ),
  mutation(
    167,
    'http/asset-check',
    'stillBad([...asked.bad, ...bad], linked, assets.known())',
    'asked.bad',
    'http/limits.test',
  ),
  mutation(141, 'pipeline/prepare', "if (between === 'commits')", 'if (false)', 'pipeline/prepare.test'),
  mutation(
    141,
    'pipeline/prepare',
    "if (between === 'commits-before-build')",
    'if (false)',
    'pipeline/prepare.test',
  ),
  mutation(141, 'lib/missing-schema', '42P01|', '', 'pipeline/build-reads-schema.test'),
  mutation(142, 'pipeline/live-harm', 'after < GRACE', 'false', 'pipeline/live-harm.test'),
  mutation(142, 'pipeline/live-harm', 'if (!reversible)', 'if (false)', 'pipeline/live-harm.test'),
  mutation(141, 'worker/host/backup-room', 'last ?? bytes', 'bytes', 'worker/host/backup-room.test'),
  mutation(
    'a file that is as the commit has it is taken over, and every way back leaves it',
    'worker/host-files/tracking',
    '...takenOver])',
    '])',
    'worker/host-files.test',
  ),
  mutation(143, 'worker/run/hold', 'removePath(word);', '', 'worker/run/hold.test'),
  mutation(
    143,
    'worker/run/hold',
    "at === 'rehearsed' && goesAlone ? 'go'",
    "at === 'rehearsed' ? 'go'",
    'worker/run/hold.test',
  ),
  mutation(
    181,
    'database/schema/own-checks',
    "if (first.kind !== 'SelectStmt')",
    'if (false)',
    'database/schema/own-checks.test',
  ),
  mutation(
    182,
    'database/schema/own-checks',
    'if failed is not null then',
    'if false then',
    'database/schema/own-checks.test',
  ),
  mutation(
    183,
    'database/schema/own-checks',
    'set local transaction_read_only = on;',
    'set local transaction_read_only = off;',
    'database/schema/own-checks.test',
  ),
  mutation(
    184,
    'pipeline/status',
    "cutRun !== undefined || found.runs[0]?.outcome === 'cut'",
    'false',
    'pipeline/status.test',
  ),
  mutation(
    185,
    'report/summary/spanish-advice',
    "['but no lock file',",
    "['no words,',",
    'report/summary/language.test',
  ),
  mutation(173, 'worker/build/build-cache', 'if (failed)', 'if (false)', 'worker/build/cache-places.test'),
  mutation(
    173,
    'worker/build/build-cache',
    'if (!warm && endedByItself(error))',
    'if (!warm)',
    'worker/build/build-cache.test',
  ),
  mutation(
    174,
    'pipeline/watch-decision',
    'times >= RESTARTS',
    'times > RESTARTS',
    'pipeline/watch-decision.test',
  ),
  mutation(174, 'pipeline/watch-decision', 'heldBy !== runId', 'false', 'pipeline/watch-decision.test'),
  mutation(
    174,
    'database/rollback/rehearsal-sql',
    "`losses <> '[]'`",
    "'false'",
    'database/rollback/rollback-database.test',
  ),
  mutation(174, 'worker/run/watch-live', 'app.others ?? []', '[]', 'pipeline/watch.nightly.test'),
  mutation(181, 'database/schema/own-checks', 'WRITES.has(kind)', 'false', 'database/schema/own-checks.test'),
  mutation(
    182,
    'database/schema/own-checks',
    "(f ->> 'rows')::bigint > 0 or f ? 'failed'",
    'false',
    'database/schema/own-checks.test',
  ),
  mutation(184, 'pipeline/status', "found.runs[0]?.outcome === 'cut'", 'false', 'pipeline/status.test'),
  mutation(
    185,
    'report/summary/language',
    'message.includes(words) || next.includes(words)',
    'false',
    'report/summary/language.test',
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
