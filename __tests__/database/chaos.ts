/** Runs of migrations that are struck at random moments, directly and through a transaction pooler. */
import assert from 'node:assert/strict';
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { after, before, test } from 'node:test';
import { setTimeout } from 'node:timers/promises';
import { LOCK_KEY } from '../../src/database/history/deploy-tables.js';
import { type FaultProxy, startFaultProxy } from '../servers/fault-proxy.js';
import { startMigrateRun } from '../servers/migrate-run.js';
import { type PgBouncer, startPgBouncer } from '../servers/pgbouncer.js';
import { type PostgresServer, query, startPostgres } from '../servers/postgres.js';
import { createProject, history, type Project, runMigrate } from '../servers/project.js';
import { until } from '../servers/until.js';

const FILES = 60;
const versions = Array.from({ length: FILES }, (_, index) => String(1000 + index));
/** Each file leaves a row: applied twice it would leave two, out of order its id would tell. */
const files = {
  '0999_log.sql': 'create table public.log (id serial, file text);',
  ...Object.fromEntries(
    versions.map((version) => [
      `${version}_t.sql`,
      `create table public.t${version} (id int); insert into public.log (file) values ('${version}'); select pg_sleep(0.005);`,
    ]),
  ),
};

let server: PostgresServer;
let pooler: PgBouncer;
let project: Project;
const proxies: FaultProxy[] = [];
before(async () => {
  server = await startPostgres({ version: 15 });
  pooler = await startPgBouncer(server);
  project = createProject(files);
});
after(async () => {
  // A test that failed may have left its proxy.
  for (const proxy of proxies) await proxy.stop();
  project.delete();
  await pooler.stop();
  await server.stop();
});

type Way = 'direct' | 'through pgbouncer';

async function openProxy(way: Way): Promise<FaultProxy> {
  const proxy = await startFaultProxy({ target: way === 'direct' ? server.port : pooler.port });
  proxies.push(proxy);
  return proxy;
}

function start(url: string, runId: string, ...inputs: string[]): ChildProcess {
  return startMigrateRun(project.folder, url, runId, ...inputs);
}

async function ended(child: ChildProcess): Promise<void> {
  if (child.exitCode === null && child.signalCode === null) await once(child, 'exit');
}

/** Nobody works in the database any more; row 41 asks for it within a second, a loaded machine gets five. */
async function quiet(name: string): Promise<void> {
  const gone = async (): Promise<boolean> => {
    const rows = await query(
      server.adminUrl,
      `select 1 from pg_stat_activity where datname = '${name}' and state <> 'idle'
       union all select 1 from pg_locks where locktype = 'advisory' and objid = ${LOCK_KEY}`,
    );
    return rows.length === 0;
  };
  await until('every backend and lock to be gone', gone, 5_000);
}

async function assertExactlyOnce(url: string): Promise<void> {
  assert.deepEqual(await history(url), ['0999', ...versions]);
  const rows = await query<{ file: string }>(url, 'select file from public.log order by id');
  assert.deepEqual(
    rows.map(({ file }) => file),
    versions,
  );
}

type Strike = (child: ChildProcess, proxy: FaultProxy, name: string) => void;

const terminate: Strike = (_child, _proxy, name) =>
  void query(
    server.adminUrl,
    `select pg_terminate_backend(pid) from pg_stat_activity where datname = '${name}' and query like '/*muva-deploy%'`,
  ).catch(() => undefined);
const STRIKES: Record<string, Strike> = {
  'a kill': (child) => void child.kill('SIGKILL'),
  'the cancel sequence': (child) => {
    child.kill('SIGINT');
    void setTimeout(7_500).then(() => child.kill('SIGTERM'));
  },
  'a terminated backend': terminate,
  'a reset': (_child, proxy) => proxy.breakNow('reset'),
  'an end': (_child, proxy) => proxy.breakNow('end'),
  'a lost answer': (_child, proxy) => proxy.breakOnAnswer('SELECT', 'reset'),
};

/** Waits until the run is at work in the database, so that the blow falls into it and not into the start of Node. */
async function atWork(name: string): Promise<void> {
  await until('the run to be at work', async () => {
    const rows = await query(server.adminUrl, `select 1 from pg_stat_activity where datname = '${name}'`);
    return rows.length > 0;
  });
}

/** One run and one blow: all of it or nothing, and nobody left at work. */
export function struckAtRandomMoments(): void {
  for (const way of ['direct', 'through pgbouncer'] as const) {
    for (const [name, strike] of Object.entries(STRIKES)) {
      test(`row 41, row 44, row 114: ${name} at random moments of a 60-file run, ${way}: all of it or nothing`, async () => {
        for (let round = 0; round < 5; round++) {
          const url = await server.createDatabase();
          const database = new URL(url).pathname.slice(1);
          const proxy = await openProxy(way);
          const child = start(proxy.through(url), `round-${round}`);
          await atWork(database);
          await setTimeout(Math.random() * 600);
          strike(child, proxy, database);
          await ended(child);
          await quiet(database);
          const found = await history(url);
          assert.ok(found.length === 0 || found.length === FILES + 1, `${found.length} files recorded`);
          const { report } = await runMigrate(project, url, { runId: 'after' });
          assert.equal(report.outcome, 'passed', JSON.stringify(report.problems));
          await assertExactlyOnce(url);
          await proxy.stop();
        }
      });
    }
  }
}

/** Many runs and many blows at once. */
export function manyProcessesAndFaults(): void {
  for (const way of ['direct', 'through pgbouncer'] as const) {
    test(`row 62: 8 processes at once and 40 faults, ${way}: every file exactly once, in order`, async () => {
      const url = await server.createDatabase();
      const name = new URL(url).pathname.slice(1);
      const proxy = await openProxy(way);
      const running = new Map<number, ChildProcess>();
      const blows = Object.values(STRIKES).filter((strike) => strike !== STRIKES['the cancel sequence']);
      let started = 0;
      for (let faults = 0; faults < 40; ) {
        for (let slot = 0; slot < 8; slot++) {
          const child = running.get(slot);
          if (child && child.exitCode === null && child.signalCode === null) continue;
          running.set(slot, start(proxy.through(url), `run-${started++}`, 'transaction=each'));
        }
        await setTimeout(50 + Math.random() * 250);
        const victim = running.get(Math.floor(Math.random() * 8))!;
        blows[faults % blows.length]!(victim, proxy, name);
        faults++;
        const found = await history(url);
        assert.deepEqual(
          found,
          ['0999', ...versions].slice(0, found.length),
          'the history is a prefix of the files',
        );
      }
      await Promise.all([...running.values()].map(ended));
      await quiet(name);
      const { report } = await runMigrate(project, url, { runId: 'last' });
      assert.equal(report.outcome, 'passed', JSON.stringify(report.problems));
      await assertExactlyOnce(url);
      await proxy.stop();
    });
  }
}
