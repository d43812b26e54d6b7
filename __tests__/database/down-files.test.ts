import assert from 'node:assert/strict';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { Failure } from '../../src/base/report.js';
import { prepareDown, readDownFile } from '../../src/database/files/down-files.js';
import { loadParser } from '../../src/database/sql/parser.js';
import { createProject } from '../servers/project.js';

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
  const folder = join(project.folder, 'supabase/migrations');
  mkdirSync(join(folder, '4_d.down.sql'));
  writeFileSync(join(folder, '5_e.down.sql'), '');
  const refused = (file: string): Promise<void> =>
    assert.rejects(readDownFile(folder, file), (error) => error instanceof Failure);
  await refused('1_a.down.sql');
  await refused('2_b.down.sql');
  await refused('4_d.down.sql');
  assert.equal(await readDownFile(folder, '3_c.down.sql'), 'drop table c;');
  assert.equal(await readDownFile(folder, '5_e.down.sql'), '');
  assert.equal(await readDownFile(folder, '6_f.down.sql'), undefined);
  project.delete();
});
