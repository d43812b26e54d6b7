/** One deploy and its undoing, phase by phase, over whichever transport the inputs lead to. */
import assert from 'node:assert/strict';
import { openDatabase } from '../../src/database/connection/open.js';
import { judgeDrift, readDriftNow } from '../../src/database/schema/drift.js';
import { fingerprintQuery, readFingerprint } from '../../src/database/schema/fingerprint.js';
import { migrate } from '../../src/pipeline/migrate.js';
import { verify } from '../../src/pipeline/verify.js';
import { runPhase } from '../../src/report/phase.js';
import { query } from '../servers/postgres.js';
import { createProject, history, type Inputs, settingsFor } from '../servers/project.js';
import { rollbackAlone } from '../servers/rollback.js';
import { databaseWork } from '../servers/work.js';
import { everyKindFiles } from './every-kind.js';

/** `connection`: how the action is told of the database; `url`: the same one, for looking past the action. */
export async function liveOneLife(connection: Inputs, url: string): Promise<void> {
  const project = createProject(everyKindFiles());
  const settings = (mode: string, more: Inputs = {}): ReturnType<typeof settingsFor> =>
    settingsFor(project, '', { mode, 'row-counts': 'exact', ...connection, ...more }, '31');
  const database = openDatabase(settings('verify').database!.connection);
  const tools = { log: () => undefined, signal: new AbortController().signal, database };
  const fingerprint = async (): Promise<string> =>
    readFingerprint(await database.send(fingerprintQuery(), { deadline: 30_000 })).fingerprint;
  try {
    const before = await fingerprint();
    const applied = await migrate(databaseWork(settings('migrate', { rls: 'off' }), tools));
    assert.deepEqual(applied.problems, []);
    assert.equal((await history(url)).length, 30);
    await query(url, `insert into public.hotels (name) values ('Ritz'), ('Savoy')`);

    const required = { 'required-tables': 'hotels, app.notes', 'required-functions': 'touch' };
    const verified = await verify(databaseWork(settings('verify', required), tools));
    assert.deepEqual(
      verified.problems.map(({ message }) => message),
      ['row level security is off on app.notes'],
    );
    const hotels = verified.facts.tables?.find(({ name }) => name === 'hotels');
    assert.deepEqual([hotels?.rows, hotels?.exact, hotels?.rls], [2, true, true]);

    assert.match(judgeDrift(await readDriftNow(tools), 'fail').detail, /^unchanged since run 31/);
    await query(url, 'create view public.mine as select 1 as one');
    assert.match(
      judgeDrift(await readDriftNow(tools), 'fail').refusals[0]!.message,
      /added view public\.mine$/,
    );
    await query(url, 'drop view public.mine');

    for (const expected of [30, 0]) {
      const report = await runPhase('rollback', tools.log, undefined, async (record) => {
        const { reverted } = await rollbackAlone(tools, settings('rollback', { 'run-id': '31' }), record);
        assert.equal(reverted.length, expected);
      });
      assert.deepEqual(report.problems, []);
    }
    assert.deepEqual(await history(url), []);
    assert.equal(await fingerprint(), before);
  } finally {
    await database.close();
    project.delete();
  }
}
