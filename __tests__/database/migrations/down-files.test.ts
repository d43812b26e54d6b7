import assert from 'node:assert/strict';
import { mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { openDowns, prepareDown, readDownFile } from '../../../src/database/migrations/down-files.js';
import { readMigrationFiles } from '../../../src/database/migrations/migration-files.js';
import { loadParser } from '../../../src/database/sql/parser.js';
import { Failure } from '../../../src/lib/report.js';
import { createProject } from '../../servers/project.js';

const parse = await loadParser();

const PLAIN: [name: string, source: string, plain: string][] = [
  ['an index', 'drop index concurrently public.i;', 'drop index              public.i;'],
  [
    'a table whose name begins with the word',
    'alter table concurrently_made detach partition p concurrently;',
    'alter table concurrently_made detach partition p             ;',
  ],
  [
    'a table of that name behind its schema',
    'alter table public . concurrently detach partition p CONCURRENTLY;',
    'alter table public . concurrently detach partition p             ;',
  ],
  [
    'the word in comments and quotes',
    '/* /* concurrently */ concurrently */ create index -- concurrently\r\nconcurrently "concurrently" on t (a);',
    '/* /* concurrently */ concurrently */ create index -- concurrently\r\n             "concurrently" on t (a);',
  ],
];

for (const [name, source, plain] of PLAIN)
  test(`CONCURRENTLY is left out of a down file: ${name}`, () => {
    const prepared = prepareDown({ version: '1', name: 'a', file: '1_a.down.sql', source }, parse);
    assert.deepEqual(prepared.problems, []);
    assert.equal(prepared.source, plain);
  });

test('a down file that cannot be read is not the same as none', async () => {
  const project = createProject({
    '1_a.down.sql': Buffer.from("comment on table a is 'caf\xe9';", 'latin1'),
    '2_b.down.sql': Buffer.from('drop table b;\0'),
    '3_c.down.sql': Buffer.from('\ufeffdrop table c;'),
  });
  const migrations = join(project.folder, 'supabase/migrations');
  mkdirSync(join(migrations, '4_d.down.sql'));
  writeFileSync(join(migrations, '5_e.down.sql'), '');
  const folder = (await openDowns(project.folder, 'supabase/migrations'))!;
  const read = (name: string): string | undefined => readDownFile(folder, name, name);
  for (const name of ['1_a.down.sql', '2_b.down.sql', '4_d.down.sql'])
    assert.throws(() => read(name), Failure);
  assert.equal(read('3_c.down.sql'), 'drop table c;');
  assert.equal(read('5_e.down.sql'), '');
  assert.equal(read('6_f.down.sql'), undefined);
  assert.equal(await openDowns(project.folder, 'db/migrations'), undefined);
  project.delete();
});

test('row 151: only what lies in the project is read', async () => {
  const project = createProject({ '1_a.down.sql': 'drop table a;' });
  const outside = createProject({ 'b.sql': 'drop table b;' });
  const migrations = join(project.folder, 'supabase/migrations');
  const link = (target: string, name: string): void => symlinkSync(target, join(migrations, name));
  link(join(outside.folder, 'supabase/migrations/b.sql'), '2_b.down.sql');
  link('1_a.down.sql', '3_c.down.sql');
  link('../../../../../../../../etc/hostname', '4_d.down.sql');
  link('nowhere', '5_e.down.sql');
  const folder = (await openDowns(project.folder, 'supabase/migrations'))!;
  const read = (name: string): string | undefined => readDownFile(folder, name, name);
  for (const name of ['2_b.down.sql', '4_d.down.sql'])
    assert.throws(() => read(name), /is a link that leads out of the project/);
  assert.throws(() => read('5_e.down.sql'), /cannot be read: ENOENT/);
  assert.equal(read('3_c.down.sql'), 'drop table a;');
  for (const name of ['../migrations/1_a.down.sql', './1_a.down.sql', '/etc/hostname', '..', ''])
    assert.equal(read(name), undefined);

  symlinkSync(join(outside.folder, 'supabase/migrations'), join(project.folder, 'elsewhere'));
  const elsewhere = /elsewhere is a link that leads out of the project$/;
  await assert.rejects(openDowns(project.folder, 'elsewhere'), elsewhere);
  await assert.rejects(readMigrationFiles(project.folder, { migrationsDir: 'elsewhere' }), elsewhere);
  project.delete();
  outside.delete();
});
