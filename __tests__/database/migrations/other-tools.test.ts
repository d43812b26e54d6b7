import assert from 'node:assert/strict';
import { test } from 'node:test';
import { classify } from '../../../src/database/migrations/classify.js';
import { readMigrationFiles } from '../../../src/database/migrations/migration-files.js';
import { loadParser } from '../../../src/database/sql/parser.js';
import { createProject, type Files } from '../../servers/project.js';

const parse = await loadParser();

const SECTIONS: [name: string, source: string, problem: string | undefined][] = [
  [
    'dbmate',
    '-- migrate:up\nselect 1;\n\n-- migrate:down\nselect 2;',
    '4:1 "-- migrate:down" begins what dbmate',
  ],
  ['goose', '-- +goose Up\nselect 1;\n--+goose Down\nselect 2;', '3:1 "--+goose Down" begins what goose'],
  ['sql-migrate', '-- +migrate Down\nselect 2;', '1:1 "-- +migrate Down" begins what sql-migrate'],
  ['one that only goes up', '-- migrate:up\nselect 1;', undefined],
  ['the words in a text', "select '\n-- migrate:down';", undefined],
];
for (const [name, source, expected] of SECTIONS)
  test(`row 155: sections of another tool: ${name}`, () => {
    const [problem] = classify('1_a.sql', source, parse).problems;
    const said = problem && `${problem.at?.line}:${problem.at?.column} ${problem.message}`;
    if (expected === undefined) assert.equal(said, undefined);
    else assert.ok(said?.startsWith(expected), said);
  });

const FOLDERS: [name: string, files: Files, problem: RegExp | undefined][] = [
  [
    'a folder per migration',
    { '1_a/migration.sql': '' },
    /holds its \.sql files in folders below it \(1_a\/migration\.sql\)/,
  ],
  ['down files below', { 'down/1_a.down.sql': '' }, undefined],
  ['migrations here, others below', { '1_a.sql': '', 'old/1_a.sql': '' }, undefined],
  ['Flyway', { 'V1__a.sql': '', 'R__view.sql': '' }, /R__view\.sql is named as Flyway has it/],
  ['nothing', {}, undefined],
];
for (const [name, files, expected] of FOLDERS)
  test(`row 155: a folder of another tool: ${name}`, async () => {
    const project = createProject(files);
    try {
      const { problems } = await readMigrationFiles(project.folder, { migrationsDir: 'supabase/migrations' });
      assert.equal(problems.length, expected ? 1 : 0);
      if (expected) assert.match(problems[0]?.message ?? '', expected);
    } finally {
      project.delete();
    }
  });

test('a blank of Unicode is named, and applied as psql does; where it breaks the syntax, it is refused', () => {
  const told = classify('1_a.sql', "create table a (\n \u00a0id int); -- \u00a0\nselect '\u200b';", parse);
  assert.deepEqual(told.problems, []);
  assert.deepEqual(
    told.notices.map(({ message, at }) => `${at?.line}:${at?.column} ${message.slice(0, 6)}`),
    ['2:2 U+00A0'],
  );
  const refused = classify('1_a.sql', 'create table a (id int);\n\ufeffcreate table b (id int);', parse);
  assert.deepEqual(
    refused.problems.map(({ message, at }) => `${at?.line}:${at?.column} ${message.slice(0, 6)}`),
    ['2:1 U+FEFF'],
  );
});
