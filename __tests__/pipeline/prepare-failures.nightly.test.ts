import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import type { Report } from '../../src/lib/report.js';
import { type Inputs, makeFleet, type OnEntry, type Reachable } from '../servers/deployment.js';
import { type Disk, mountDisk } from '../servers/disk.js';
import { appFiles, appVersion, mismatchedPackage } from '../servers/fixture-app.js';
import { type Origin, startOrigin } from '../servers/origin.js';
import { type PostgresServer, query, startPostgres } from '../servers/postgres.js';
import { startVps, type Vps } from '../servers/vps.js';
import { begunPhases, deployWhole, jobWith, wholeDatabase } from '../servers/whole-deploy.js';

const THREE = {
  '20250101000000_rooms.sql': 'create table rooms (id int primary key);',
  '20250102000000_guests.sql': 'create table guests (id int primary key);',
  '20250103000000_stays.sql': 'create table stays (id int primary key);',
};

/** What goes wrong on the last server, while three migrations are pending. */
for (const hosts of [1, 2])
  describe(`prepare fails on ${hosts === 1 ? 'the only server' : 'one of two servers'}`, () => {
    let origin: Origin;
    let disk: Disk;
    let boxes: Vps[];
    let servers: Reachable[];
    let postgres: PostgresServer;
    let databaseUrl: string;
    let jobs: string[];
    before(async () => {
      jobs = [];
      origin = startOrigin(appFiles('v0'));
      disk = mountDisk();
      const roomy = await Promise.all(Array.from({ length: hosts - 1 }, () => startVps(origin)));
      boxes = [...roomy, await startVps(origin, { disk: disk.path })];
      servers = await makeFleet(boxes);
      // The pg_dump of the machine need not know the newest server.
      postgres = await startPostgres({ version: 15 });
      databaseUrl = await postgres.createDatabase();
      await query(
        databaseUrl,
        'create table kept (id int); insert into kept select generate_series(1, 100);',
      );
    });
    after(async () => {
      for (const server of servers ?? []) await server.stop();
      await postgres?.stop();
      origin?.stop();
      disk?.stop();
      for (const job of jobs) rmSync(job, { recursive: true, force: true });
    });

    const dump = (): string =>
      // A key of its own stands in each dump of newer versions.
      execFileSync('pg_dump', ['--no-owner', databaseUrl], { encoding: 'utf8' }).replace(
        /^\\(un)?restrict .*$/gm,
        '',
      );

    async function untouchedBy(
      inputs: Inputs,
      said: RegExp,
      onEntry: OnEntry = () => {},
      workingDirectory = jobWith(THREE),
    ): Promise<Report> {
      jobs.push(workingDirectory);
      const before = { dump: dump(), rows: await wholeDatabase(databaseUrl) };
      const live = await Promise.all(boxes.map((vps) => vps.served()));
      const { report } = await deployWhole({ servers, databaseUrl, workingDirectory, inputs, onEntry });
      assert.equal(report.outcome, 'failure', JSON.stringify(report.problems));
      assert.ok(!begunPhases(report).includes('migrate'), begunPhases(report).join());
      assert.match(JSON.stringify(report.problems), said);
      const failed = report.phases.find(({ phase }) => phase === report.failedPhase);
      assert.match(failed?.summary ?? '', /^Nothing was changed\./);
      assert.equal(dump(), before.dump);
      assert.deepEqual(await wholeDatabase(databaseUrl), before.rows);
      assert.deepEqual(await Promise.all(boxes.map((vps) => vps.served())), live);
      return report;
    }

    test('row 141: a build', async () => {
      await untouchedBy({ ref: origin.commit(appVersion('v1', { build: 'fails' })) }, /module not found/);
    });

    test('row 141: an install', async () => {
      await untouchedBy({ ref: origin.commit({ ...appVersion('v2'), ...mismatchedPackage() }) }, /lock/i);
    });

    test('row 141: a file in the way', async () => {
      const path = join(boxes.at(-1)!.appPath, 'notes.txt');
      writeFileSync(path, 'a person wrote this');
      const ref = origin.commit({ ...appFiles('v3'), 'notes.txt': 'from the commit' });
      await untouchedBy({ ref }, /notes\.txt/);
      rmSync(path);
      origin.commit({ 'notes.txt': null });
    });

    test('row 141: a disk that is full', async () => {
      let filled = false;
      try {
        await untouchedBy(
          { ref: origin.commit(appVersion('v4')) },
          /disk of the server is full/i,
          (entry) => {
            if (filled || entry.kind !== 'step' || !/(^|: )(fetch|preflight)$/.test(entry.step.name)) return;
            filled = true;
            disk.fill();
          },
        );
        assert.ok(filled);
      } finally {
        disk.free();
      }
    });

    test('row 141: a packed build that arrives cut', async () => {
      const checkout = mkdtempSync(join(tmpdir(), 'muva-job-'));
      const sha = origin.commit({ ...appVersion('v5'), ...migrations() });
      origin.git('clone', '-q', origin.url, checkout);
      execFileSync(process.execPath, ['build.js'], {
        cwd: checkout,
        env: { ...process.env, DEPLOY_SHA: sha },
      });
      const inputs: Inputs = { ref: sha, 'build-on': 'runner', 'working-directory': checkout };
      const cut: OnEntry = (entry) => {
        if (entry.kind !== 'step' || entry.step.name !== 'send the build') return;
        const incoming = join(boxes.at(-1)!.root, 'var/www/.app.deploy/incoming');
        const [file] = execFileSync('find', [incoming, '-type', 'f'], { encoding: 'utf8' })
          .trim()
          .split('\n');
        truncateSync(file!, 100);
      };
      await untouchedBy(inputs, /tar|gzip|unpack/i, cut, checkout);
    });
  });

function migrations(): Record<string, string> {
  return Object.fromEntries(
    Object.entries(THREE).map(([name, text]) => [`supabase/migrations/${name}`, text]),
  );
}
