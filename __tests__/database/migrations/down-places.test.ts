import assert from 'node:assert/strict';
import { test } from 'node:test';
import { readMigrationFiles } from '../../../src/database/migrations/migration-files.js';
import { createProject, type Files } from '../../servers/project.js';

interface Found {
  /** Of the one migration. */
  down?: string;
  problem?: RegExp;
  warnings?: RegExp[];
}

const UP = { '1_a.sql': 'create table a ();' };

/** Files below supabase/migrations, down-dir, and what is found. */
const CASES: [title: string, files: Files, downDir: string | undefined, found: Found][] = [
  ['none', {}, undefined, {}],
  [
    'beside the migration, where the CLI would run it',
    { '1_a.down.sql': 'drop' },
    undefined,
    {
      down: 'supabase/migrations/1_a.down.sql',
      warnings: [
        /supabase db push and supabase db reset would run these down files as migrations: 1_a\.down\.sql.*supabase\/down/,
      ],
    },
  ],
  [
    'in the folder beside',
    { '../down/1_a.down.sql': 'drop' },
    undefined,
    { down: 'supabase/down/1_a.down.sql' },
  ],
  [
    'by the name of the migration',
    { '../down/1_a.sql': 'drop' },
    undefined,
    { down: 'supabase/down/1_a.sql' },
  ],
  [
    'two for one version',
    { '1_a.down.sql': 'drop', '../down/1_a.down.sql': 'drop' },
    undefined,
    {
      down: 'supabase/migrations/1_a.down.sql',
      problem:
        /supabase\/migrations\/1_a\.down\.sql and supabase\/down\/1_a\.down\.sql both undo the same migration/,
      warnings: [/as migrations/],
    },
  ],
  [
    'two in one folder',
    { '../down/1_a.down.sql': '', '../down/1_a.sql': '' },
    undefined,
    { down: 'supabase/down/1_a.down.sql', problem: /both undo/ },
  ],
  ['in down-dir', { '../../db/undo/1_a.sql': 'drop' }, 'db/undo/', { down: 'db/undo/1_a.sql' }],
  [
    'down-dir is the only place',
    { '1_a.down.sql': 'drop', '../down/1_a.down.sql': 'drop', '../../db/undo/x.txt': '' },
    'db/undo',
    {
      warnings: [
        /not read, because down-dir is db\/undo: 1_a\.down\.sql.*Move them to db\/undo/,
        /as migrations.*to db\/undo/,
      ],
    },
  ],
  ['down-dir that is not there', {}, 'db/undo', { problem: /down-dir: there is no folder db\/undo/ }],
  [
    'without its migration',
    { '../down/2_b.sql': 'drop' },
    undefined,
    { warnings: [/supabase\/down\/2_b\.sql is a down file without the migration that it undoes/] },
  ],
];

for (const [title, files, downDir, { down, problem, warnings = [] }] of CASES)
  test(`where down files lie: ${title}`, async () => {
    const project = createProject({ ...UP, ...files });
    try {
      const places = { migrationsDir: 'supabase/migrations', ...(downDir === undefined ? {} : { downDir }) };
      const found = await readMigrationFiles(project.folder, places);
      assert.equal(found.files.length, 1);
      assert.equal(found.files[0]!.down?.file, down);
      const words = found.warnings.map(({ message, next }) => `${message} -> ${next}`);
      assert.equal(words.length, warnings.length, words.join('\n'));
      for (const [index, pattern] of warnings.entries()) assert.match(words[index]!, pattern);
      const problems = found.problems.map(({ message }) => message).join('\n');
      if (problem) assert.match(problems, problem);
      else assert.equal(problems, '');
    } finally {
      project.delete();
    }
  });
