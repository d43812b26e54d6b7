import assert from 'node:assert/strict';
import { test } from 'node:test';
import { openDatabase } from '../../src/database/connection/open.js';
import {
  compareObjects,
  describeDifference,
  fingerprintQuery,
  readFingerprint,
  type SchemaObject,
} from '../../src/database/schema/fingerprint.js';
import { startPostgres } from '../servers/postgres.js';
import { createProject, runMigrate, settingsFor } from '../servers/project.js';
import { runRollback } from '../servers/rollback.js';
import { everyKindFiles } from './every-kind.js';

for (const version of [15, 'debian', 17] as const)
  test(`row 160: up, down and up again of every kind of object, PostgreSQL ${version}`, async () => {
    const server = await startPostgres({ version });
    const project = createProject(everyKindFiles());
    try {
      const url = await server.createDatabase();
      const look = async (): Promise<SchemaObject[]> => {
        const database = openDatabase(settingsFor(project, url).database!.connection);
        try {
          return readFingerprint(await database.send(fingerprintQuery(), { deadline: 30_000 })).objects;
        } finally {
          await database.close();
        }
      };
      const up = async (runId: string): Promise<void> => {
        const { report } = await runMigrate(project, url, { runId, inputs: { rls: 'off' } });
        assert.equal(report.outcome, 'passed', JSON.stringify(report.problems));
      };
      const before = await look();
      await up('1');
      const after = await look();
      assert.ok(after.length > before.length + 30);
      const { report } = await runRollback(
        settingsFor(project, url, { mode: 'rollback', 'run-id': '1' }, '1'),
      );
      assert.equal(report.outcome, 'passed', JSON.stringify(report.problems));
      assert.equal(describeDifference(compareObjects(before, await look())), '');
      await up('2');
      assert.equal(describeDifference(compareObjects(after, await look())), '');
    } finally {
      project.delete();
      await server.stop();
    }
  });
