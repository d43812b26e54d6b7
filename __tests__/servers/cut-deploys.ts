import assert from 'node:assert/strict';
import { existsSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import type { LogEntry } from '../../src/lib/log.js';
import type { Report } from '../../src/lib/report.js';
import { makeReachable, type Reachable } from './deployment.js';
import { type AppFaults, appFiles, appVersion } from './fixture-app.js';
import { killDeploy } from './killed-deploy.js';
import { type Origin, startOrigin } from './origin.js';
import { kill } from './pm2.js';
import { type PostgresServer, query, startPostgres } from './postgres.js';
import { until } from './until.js';
import { startVps, workersOn } from './vps.js';
import { deployWhole, jobWith, postStep, type WholeDeploy } from './whole-deploy.js';

/** Milliseconds for which a server waits for the action here: enough to hear of it on a busy machine. */
const PATIENCE = { reconnectFor: 2_000, goLease: 10_000 };

/** A state of a deploy to one server, as the table of decision record 0005 names it. */
export type CutState = 'preparing' | 'built' | 'SQL in flight' | 'committed' | 'rehearsed';
type Versions = { schema: 'old' | 'new'; code: 'old' | 'new' };

/** What may stand when the action was killed in a state, and its lease is over. New code never stands on the old schema. */
const AFTER_KILL: Readonly<Record<CutState, readonly string[]>> = {
  preparing: ['old, old'],
  built: ['old, old'],
  'SQL in flight': ['old, old', 'new, old'],
  // The word to rehearse may have been on its way.
  committed: ['new, old', 'new, new'],
  rehearsed: ['new, new'],
};

/** Tests of each way to cut a deploy in these states: the cells of that table. */
export function cutInEach(states: readonly CutState[]): void {
  describe('a deploy that is cut', () => {
    let origin: Origin;
    let server: Reachable;
    let postgres: PostgresServer;
    let databaseUrl: string;
    let number = 0;
    const files: Record<string, string> = {};
    const folders: string[] = [];
    before(async () => {
      origin = startOrigin(appFiles('v0'));
      server = await makeReachable(await startVps(origin));
      postgres = await startPostgres();
      databaseUrl = await postgres.createDatabase();
    });
    after(async () => {
      await Promise.all([server?.stop(), postgres?.stop()]);
      origin?.stop();
      for (const folder of folders) rmSync(folder, { recursive: true, force: true });
    });

    /** The next version, with a migration of its own: a table by its number. */
    function next(faults: AppFaults = {}): WholeDeploy & { session: string } {
      number += 1;
      const name = `202501${String(number).padStart(2, '0')}000000_t${number}`;
      files[`${name}.sql`] = `select pg_sleep(2); create table t${number} (id int primary key);`;
      files[`${name}.down.sql`] = `drop table t${number};`;
      const workingDirectory = jobWith(files);
      folders.push(workingDirectory);
      return {
        servers: [server],
        databaseUrl,
        workingDirectory,
        inputs: {
          ref: origin.commit(appVersion(`v${number}`, { bootDelay: 1_500, ...faults })),
          'run-id': String(7_000 + number),
          'deploy-timeout': '3m',
          'health-deadline': '30s',
        },
        session: `s${number}`,
        patience: PATIENCE,
      };
    }

    async function standing(): Promise<Versions> {
      const [row] = await query<{ there: boolean }>(
        databaseUrl,
        `select to_regclass('public.t${number}') is not null as there`,
      );
      const served = await server.vps.served();
      return { schema: row!.there ? 'new' : 'old', code: served?.version === `v${number}` ? 'new' : 'old' };
    }
    const words = ({ schema, code }: Versions): string => `${schema}, ${code}`;
    const locked = (): boolean => existsSync(join(server.vps.root, 'var/www/.app.deploy/lock'));
    const workers = (): number[] => workersOn(server.vps);

    /** True at the log entry with which a state is reached; SQL in flight is seen in the database. */
    function reaches(state: CutState, entry: LogEntry): boolean {
      switch (state) {
        case 'preparing':
          return entry.kind === 'step' && entry.step.name === 'stage';
        case 'built':
          return entry.kind === 'phase-ended' && entry.report.phase === 'prepare';
        case 'committed':
          return entry.kind === 'phase-ended' && entry.report.phase === 'migrate';
        case 'rehearsed':
          return entry.kind === 'step' && entry.step.name === 'rehearsal';
        case 'SQL in flight':
          return false;
      }
    }

    async function inFlight(): Promise<void> {
      await until(
        'the migration to run',
        async () =>
          (
            await query(
              databaseUrl,
              `select from pg_stat_activity where query ~ 't${number} ' and state = 'active' and wait_event = 'PgSleep'`,
            )
          ).length > 0,
        60_000,
      );
    }

    const killedIn = (state: CutState, given: WholeDeploy): Promise<void> =>
      killDeploy(given, (entry) => reaches(state, entry), state === 'SQL in flight' ? inFlight() : undefined);

    /** Until nothing of the killed run is at work any more: its lease, and what it finishes by itself. */
    async function settled(): Promise<void> {
      await until('the worker to be gone', async () => workers().length === 0, 60_000);
      assert.ok(!locked() || workers().length === 0, 'no lock outlives its lease');
    }

    for (const state of states) {
      test(`row 143: ${state}, SIGKILL, and the next run`, async () => {
        await killedIn(state, next());
        const { report } = await deployWhole(next());
        assert.equal(report.outcome, 'success', JSON.stringify(report.problems));
        assert.deepEqual(await standing(), { schema: 'new', code: 'new' });
      });

      test(`row 143: ${state}, SIGKILL, and the post step`, async () => {
        const given = next();
        await killedIn(state, given);
        const report = await postStep(given);
        await settled();
        const stands = words(await standing());
        assert.ok(
          ['old, old', 'new, new'].includes(stands),
          `${stands}: ${JSON.stringify(report?.problems)}`,
        );
      });

      test(`row 143: ${state}, SIGKILL, and a second attempt that fails in prepare`, async () => {
        const given = next();
        await killedIn(state, given);
        await settled();
        const before = await standing();
        assert.ok(AFTER_KILL[state].includes(words(before)), words(before));
        const inputs = { ...given.inputs, 'build-command': 'exit 1' };
        const { report } = await deployWhole({ ...given, attempt: 2, inputs });
        const stands = await standing();
        // Where it went forward by itself, nothing is left to do.
        assert.equal(report.outcome === 'success', words(before) === 'new, new', said(report));
        // What stands of the first attempt is undone, or told; never called nothing.
        if (before.schema === 'new') assert.ok(!said(report).includes('Nothing was changed'), said(report));
        if (words(stands) === 'new, old')
          assert.ok((report.facts.schemaAhead ?? []).length > 0, said(report));
        else assert.ok(['old, old', 'new, new'].includes(words(stands)), words(stands));
      });

      test(`row 143: ${state}, SIGKILL, and a rollback later`, async () => {
        const given = next();
        await killedIn(state, given);
        await settled();
        const { report } = await deployWhole({
          ...given,
          inputs: { ...given.inputs, mode: 'rollback', 'rollback-database': 'down' },
        });
        assert.equal(words(await standing()), 'old, old', said(report));
      });

      test(`row 143: ${state}, cancel, and the post step`, async () => {
        const given = next();
        let cancelled = false;
        const deploying = deployWhole({
          ...given,
          onEntry: (entry, cancel) => {
            if (state !== 'SQL in flight' && reaches(state, entry)) cancel();
            if (
              state === 'SQL in flight' &&
              !cancelled &&
              entry.kind === 'phase-started' &&
              entry.phase === 'migrate'
            ) {
              cancelled = true;
              void inFlight().then(cancel);
            }
          },
        });
        const { report } = await deploying;
        if (report.unsettled) await postStep(given);
        await settled();
        const stands = words(await standing());
        assert.ok(
          stands === 'old, old' || (state === 'rehearsed' && stands === 'new, new'),
          `${stands}: ${said(report)}`,
        );
      });

      test(`row 143: ${state}, and its server is lost`, async () => {
        const given = next();
        const lose = (): void => {
          for (const pid of workers()) kill(pid);
        };
        const { report } = await deployWhole({
          ...given,
          onEntry: (entry) => {
            if (reaches(state, entry)) lose();
            if (state === 'SQL in flight' && entry.kind === 'phase-started' && entry.phase === 'migrate')
              void inFlight().then(lose);
          },
        });
        const stands = words(await standing());
        assert.notEqual(report.outcome, 'success', stands);
        assert.equal(stands, 'old, old', said(report));
      });
    }
  });
}

function said(report: Report): string {
  return JSON.stringify([
    report.outcome,
    report.phases.map(({ phase, summary }) => [phase, summary]),
    report.problems,
  ]);
}
