import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { type PostgresServer, query, startPostgres } from '../servers/postgres.js';
import { createProject, history, objects, runMigrate } from '../servers/project.js';

let server: PostgresServer;
before(async () => {
  server = await startPostgres({ version: 15 });
});
after(() => server.stop());

test('row 28: several pairs of BEGIN and COMMIT in a file are one transaction, and said so', async () => {
  const pair = (name: string): string => `begin;\ncreate table public.${name} (id int);\ncommit;\n`;
  const url = await server.createDatabase();
  const project = createProject({ '1_good.sql': pair('a') + pair('b') });
  try {
    const good = await runMigrate(project, url);
    assert.equal(good.report.outcome, 'passed', JSON.stringify(good.report.problems));
    assert.match(JSON.stringify(good.log), /its own BEGIN and COMMIT \(2 pairs\) are left out/);
    assert.deepEqual(await objects(url), ['a', 'b']);

    // Left to itself, the first pair would have been committed for good.
    project.write({ '2_bad.sql': `${pair('c')}${pair('d')}select 1/0;\n` });
    const bad = await runMigrate(project, url);
    assert.equal(bad.report.outcome, 'failed');
    assert.deepEqual([bad.report.problems[0]?.code, bad.report.problems[0]?.at?.line], ['22012', 7]);
    assert.deepEqual([await objects(url), await history(url)], [['a', 'b'], ['1']]);
  } finally {
    project.delete();
  }
});

/** Largest file that the server may write, in bytes: above a WAL segment, and not a whole number of pages. */
const LARGEST_FILE = 20 * 1024 * 1024 + 4096;

test('row 53: a disk that is full: nothing is applied, and what to do is told', async () => {
  const url = await server.createDatabase();
  const project = createProject({
    '1_small.sql': 'create table public.small (id int);',
    '2_large.sql':
      'create table public.large (text text);\ninsert into public.large select repeat(md5(n::text), 40) from generate_series(1, 40000) as n;',
  });
  const [postmaster] = readFileSync(join(server.folder, 'postmaster.pid'), 'utf8').split('\n');
  // The server runs under another uid where the tests are root; only the soft limit is set, so that it can be raised again.
  const owner = statSync(server.folder);
  const limit = (bytes: string): void =>
    void execFileSync('prlimit', [`--pid=${postmaster}`, `--fsize=${bytes}:`], {
      uid: owner.uid,
      gid: owner.gid,
    });
  try {
    // A page of which only a part can be written is how PostgreSQL meets a full disk; new sessions inherit the limit.
    limit(String(LARGEST_FILE));
    const { report } = await runMigrate(project, url);
    assert.equal(report.outcome, 'failed');
    assert.equal(report.problems[0]?.code, '53100', JSON.stringify(report.problems));
    assert.equal(report.problems[0]?.at?.line, 2);
    assert.equal(report.problems[0]?.next, 'The disk of the database is full: make room, then run again.');
    assert.deepEqual([await objects(url), await history(url)], [[], []]);

    limit('unlimited');
    const again = await runMigrate(project, url);
    assert.equal(again.report.outcome, 'passed', JSON.stringify(again.report.problems));
    assert.deepEqual(await query(url, 'select count(*)::int as rows from public.large'), [{ rows: 40_000 }]);
  } finally {
    limit('unlimited');
    project.delete();
  }
});
