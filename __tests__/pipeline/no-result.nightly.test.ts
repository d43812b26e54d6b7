import assert from 'node:assert/strict';
import { existsSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { redeploy } from '../../src/pipeline/redeploy.js';
import { rollbackFleet } from '../../src/server/fleet/rollback-fleet.js';
import { makeReachable, plainRecord, type Reachable, settingsFor, withTools } from '../servers/deployment.js';
import { type Disk, mountDisk } from '../servers/disk.js';
import { appFiles, appVersion } from '../servers/fixture-app.js';
import { type Origin, startOrigin } from '../servers/origin.js';
import { kill } from '../servers/pm2.js';
import { until } from '../servers/until.js';
import { startVps, workersOn } from '../servers/vps.js';

describe('a worker that cannot tell how its run ended', () => {
  let disk: Disk;
  let origin: Origin;
  let server: Reachable;
  let state: string;
  before(async () => {
    disk = mountDisk();
    origin = startOrigin(appFiles('v1'));
    server = await makeReachable(await startVps(origin, { disk: disk.path }));
    state = join(dirname(server.vps.appPath), '.app.deploy');
  });
  after(async () => {
    disk?.free();
    await server?.stop();
    origin?.stop();
    disk?.stop();
  });

  const worker = (): number => workersOn(server.vps)[0]!;
  /** Kills the worker and fills the disk, so that nothing can be begun there to put its work in order. */
  const killAndFill = (): void => {
    kill(worker());
    for (const name of readdirSync(join(state, 'runs')))
      rmSync(join(state, 'runs', name, 'reserve'), { recursive: true, force: true });
    disk.fill();
  };

  test('row 137: killed after its journal said that the new version is verified: it is deployed, and stays', async () => {
    const sha = origin.commit(appVersion('v2'));
    const settings = settingsFor([server], { ref: sha });
    const journal = join(state, 'journal.jsonl');
    // Saving takes PM2 a moment, in which the worker has written its journal and not yet its end.
    rmSync(join(server.vps.home, '.pm2/dump.pm2'));
    let killed: Promise<unknown> | undefined;
    const report = await withTools(settings, ({ servers }) => redeploy(servers), {
      onEntry: (entry) => {
        if (entry.kind !== 'step' || entry.step.name !== 'cutover') return;
        const pid = worker();
        killed = until('the journal', () => readFileSync(journal, 'utf8').includes('"verified"')).then(() =>
          kill(pid),
        );
      },
    });
    await killed;
    const events = join(state, 'runs', readdirSync(join(state, 'runs'))[0]!, 'events.jsonl');
    assert.ok(!readFileSync(events, 'utf8').includes('"ended"'), 'it was killed before its end');
    assert.equal(report.outcome, 'passed', JSON.stringify(report));
    assert.deepEqual(
      [report.facts.hosts?.[0]?.outcome, report.facts.hosts?.[0]?.['deployed-sha']],
      ['deployed', sha],
    );
    assert.equal((await server.vps.served())?.version, 'v2');
  });

  test('row 137: killed at its cutover on a disk that is full: what is in place and whether it answers is told', async () => {
    const sha = origin.commit(appVersion('v3'));
    const settings = settingsFor([server], { ref: sha });
    const report = await withTools(settings, ({ servers }) => redeploy(servers), {
      onEntry: (entry) => {
        if (entry.kind === 'step' && entry.step.name === 'cutover') killAndFill();
      },
    });
    assert.notEqual(report.outcome, 'passed');
    const said = report.problems.map(({ message }) => message).join('\n');
    assert.match(said, /ended without a result/);
    assert.match(said, /The disk of the server is full/);
    assert.match(said, new RegExp(`in place on the server is ${sha} \\([^)]*\\); on loopback it answers`));
    assert.equal(report.facts.hosts?.[0]?.['deployed-sha'], sha);
    assert.equal((await server.vps.served())?.version, 'v3');
  });

  test('row 137: the same in a rollback', async () => {
    disk.free();
    const sha = origin.commit(appVersion('v4'));
    const settings = settingsFor([server], { ref: sha });
    const report = await withTools(settings, ({ servers }) => redeploy(servers));
    assert.equal(report.outcome, 'passed', JSON.stringify(report));
    const [end] = await withTools(settings, ({ servers }) =>
      rollbackFleet(
        servers,
        {
          ...plainRecord(),
          add: (step) => {
            if (step.name === 'put back') killAndFill();
          },
        },
        () => ({ undoRun: settings.rollback.runId }),
      ),
    );
    const live = (await server.vps.served())!;
    // The deploy of v4 had put the killed one of v3 back first.
    assert.equal(live.version, 'v2');
    assert.equal(end!.fact.outcome, 'unknown');
    assert.equal(end!.fact['deployed-sha'], live.commit);
    assert.match(
      end!.problems.map(({ message }) => message).join('\n'),
      new RegExp(`in place on the server is ${live.commit}.*; on loopback it answers and is healthy`),
    );
    disk.free();
    assert.ok(existsSync(join(state, 'plan.json')), 'the next run finishes it');
  });
});
