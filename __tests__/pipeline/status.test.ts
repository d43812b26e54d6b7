import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { versionsAhead } from '../../src/database/history/past-deploys.js';
import type { LiveDatabase } from '../../src/lib/report.js';
import { joinHistory, liveHost, status } from '../../src/pipeline/status.js';
import { liveRows, statusLines } from '../../src/report/status-table.js';
import { summaryOf } from '../../src/report/summary/summary.js';
import type { HostStatus } from '../../src/worker/protocol.js';
import { freePort } from '../servers/free-port.js';
import { type PostgresServer, query, startPostgres } from '../servers/postgres.js';
import {
  createProject,
  type Inputs,
  type Project,
  runMigrate,
  settingsFor,
  withTools,
} from '../servers/project.js';
import { wholeDatabase } from '../servers/whole-deploy.js';
import { workWith } from '../servers/work.js';

const A = 'a'.repeat(40);
const B = 'b'.repeat(40);
const AT = Date.UTC(2026, 10, 28, 16, 4);

const found: HostStatus = {
  environment: 'staging',
  liveSha: A,
  liveRelease: '20261128-160400-aaaaaaa',
  liveSince: AT,
  liveRun: '12',
  liveVerified: true,
  process: 'online',
  reachable: [{ release: '20261127-100000-bbbbbbb', sha: B }],
  backups: [{ name: '20261128T160000Z-12-full.dump', bytes: 2_097_152, at: AT }],
  freeBytes: 12 * 1_073_741_824,
  runs: [
    { runId: '12', attempt: 1, task: 'deploy', outcome: 'deployed', at: AT, milliseconds: 63_000, sha: A },
  ],
  problems: [],
};
const { liveSha: _sha, liveRelease: _release, ...nothing } = found;
const { liveRelease: _, ...byHand } = found;

describe('row 184: the state of a host', () => {
  for (const [state, told] of [
    ['live', found],
    ['nothing', nothing],
    ['by-hand', byHand],
    ['at-work', { ...found, lock: { runId: '13', since: AT } }],
    ['cut', { ...found, cutRun: '13' }],
    ['cut', { ...found, runs: [{ ...found.runs[0]!, outcome: 'cut' }] }],
  ] as [string, HostStatus][])
    test(`${state} where it tells ${JSON.stringify(told).length} characters`, () => {
      assert.equal(liveHost({ host: 1, status: told }).state, state);
    });

  test('unreachable, with the reason', () => {
    const host = liveHost({ host: 2, problem: { message: 'host 2 does not answer' } });
    assert.deepEqual(host, {
      part: 'host',
      host: 2,
      state: 'unreachable',
      problem: 'host 2 does not answer',
    });
    assert.deepEqual(liveRows([host]), [
      ['host 2', 'unreachable', ''],
      ['host 2', 'problem', 'host 2 does not answer'],
    ]);
  });

  test('as lines: version, what can be reached, backups, room and the last runs', () => {
    const history = joinHistory([{ host: 1, status: found }], undefined);
    assert.deepEqual(statusLines({ live: [liveHost({ host: 1, status: found })], history }), [
      '  host 1  live         aaaaaaaaaa, since 2026-11-28 16:04 UTC, run 12, verified, PM2: online, environment staging',
      '  host 1  rollback-to  bbbbbbbbbb (20261127-100000-bbbbbbb)',
      '  host 1  backups      1, the newest 2026-11-28 16:04 UTC (2.0 MB)',
      '  host 1  free         12 GB',
      '',
      'The last deploys and rollbacks:',
      '  2026-11-28 16:04 UTC  deploy  aaaaaaaaaa  deployed  1 min 3 s  run 12',
    ]);
  });
});

describe('the runs of hosts and database as one list', () => {
  test('one entry for a run, with the worst outcome and the longest time, newest first', () => {
    const run = found.runs[0]!;
    const second = { ...found, runs: [{ ...run, outcome: 'put-back', milliseconds: 70_000 }] };
    const row = {
      runId: '12',
      attempt: 1,
      environment: 'staging',
      sha: A,
      outcome: 'applied',
      startedAt: AT,
      finishedAt: AT + 5,
    };
    const history = joinHistory(
      [
        { host: 1, status: found },
        { host: 2, status: second },
      ],
      {
        runs: [{ ...row, runId: '14', startedAt: AT + 60_000, finishedAt: AT + 61_000 }, row],
      },
    );
    assert.deepEqual(
      history.map(({ run, task, outcome, hosts, database, ...rest }) => [
        run,
        task,
        outcome,
        hosts,
        database,
        rest['duration-ms'],
      ]),
      [
        ['14', 'migrate', 'applied', [], 'applied', 1_000],
        ['12', 'deploy', 'put-back', [1, 2], 'applied', 70_000],
      ],
    );
  });

  test('versions are ahead where a later run than that of what is live applied them', () => {
    const run = (runId: string, sha: string, startedAt: number) => ({
      ...{ runId, sha, startedAt, attempt: 1, environment: null, outcome: null, finishedAt: null },
    });
    const known = {
      recorded: ['0', '1', '2', '3'],
      applied: { '1': { runId: 'a', at: 1 }, '2': { runId: 'b', at: 2 }, '3': { runId: 'b', at: 2 } },
      runs: [run('b', B, 2), run('a', A, 1)],
    };
    assert.deepEqual(versionsAhead(known, [A]), ['2', '3']);
    assert.deepEqual(versionsAhead(known, [A, B]), []);
    assert.deepEqual(versionsAhead(known, [B]), []);
    assert.equal(versionsAhead(known, ['c'.repeat(40)]), null);
    assert.equal(versionsAhead(known, []), null);
  });
});

describe('the status of a database', () => {
  let server: PostgresServer;
  before(async () => {
    server = await startPostgres();
  });
  after(() => server.stop());

  const look = (project: Project, url: string, inputs: Inputs = {}) =>
    withTools(project, url, { inputs: { mode: 'status', ...inputs } }, (work) =>
      status(workWith(work.settings, work)),
    );
  const database = (report: Awaited<ReturnType<typeof look>>): LiveDatabase => {
    const fact = report.facts.live?.find(({ part }) => part === 'database');
    assert.ok(fact?.part === 'database');
    return fact;
  };

  test('nothing yet, then the newest version with its run, pending files and drift; nothing is ever written', async () => {
    const url = await server.createDatabase();
    const project = createProject({ '1_a.sql': 'create table public.a (id int)' });
    const empty = await wholeDatabase(url);
    const first = await look(project, url);
    assert.equal(first.outcome, 'passed', JSON.stringify(first.problems));
    const { state, ahead, pending, drift } = database(first);
    assert.deepEqual([state, ahead, pending], ['nothing', null, ['1']]);
    assert.match(drift ?? '', /no deploy has recorded/);
    assert.deepEqual(await wholeDatabase(url), empty);
    await runMigrate(project, url, { runId: '7', inputs: { environment: 'staging' } });
    project.write({ '2_b.sql': 'select 1' });
    await query(url, 'create table public.sneaky (id int)');
    const before = await wholeDatabase(url);
    // Another name than the one that is remembered refuses nothing here.
    const second = await look(project, url, { environment: 'production' });
    const live = database(second);
    assert.deepEqual(
      [live.state, live.version, live.run, live.commit, live.environment, live.pending],
      ['live', '1', '7', A, 'staging', ['2']],
    );
    assert.match(live.drift ?? '', /sneaky/);
    assert.deepEqual(
      second.facts.history?.map(({ run, task, outcome }) => [run, task, outcome]),
      [['7', 'migrate', 'applied']],
    );
    assert.deepEqual(await wholeDatabase(url), before);
    const { run } = settingsFor(project, url);
    const shown = summaryOf(
      {
        mode: 'status',
        outcome: 'success',
        phases: [second],
        problems: [],
        warnings: [],
        facts: second.facts,
        startedAt: 0,
        milliseconds: 1,
      },
      { run, places: { workspace: '/', project: '.' } },
    );
    assert.match(
      shown,
      /### Live[\s\S]*\| database \| pending \| 2 \|[\s\S]*### The last deploys and rollbacks/,
    );
    project.delete();
  });

  test('without files pending and drift are null; a run at work is told; out of reach is a row, and fails', async () => {
    const url = await server.createDatabase();
    const project = createProject({ '1_a.sql': 'select 1' });
    await runMigrate(project, url);
    const { pending, drift } = database(await look(project, url, { 'migrations-dir': 'elsewhere' }));
    assert.deepEqual([pending, drift], [null, null]);
    const holder = query(url, 'select pg_advisory_xact_lock(1836414561), pg_sleep(2)');
    let seen = database(await look(project, url)).state;
    for (let tries = 0; seen !== 'at-work' && tries < 50; tries++)
      seen = database(await look(project, url)).state;
    assert.equal(seen, 'at-work');
    await holder;
    const lost = await look(project, `postgresql://x@127.0.0.1:${await freePort()}/x`);
    assert.equal(lost.outcome, 'failed');
    assert.equal(database(lost).state, 'unreachable');
    assert.match(database(lost).problem ?? '', /nothing listens at the address in database-url/);
    project.delete();
  });
});
