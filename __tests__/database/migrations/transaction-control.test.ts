import assert from 'node:assert/strict';
import { test } from 'node:test';
import { classify } from '../../../src/database/migrations/classify.js';
import { prepareDown } from '../../../src/database/migrations/down-files.js';
import { isPartitioned, relationsToAsk } from '../../../src/database/migrations/partitioned.js';
import { loadParser } from '../../../src/database/sql/parser.js';

const parse = await loadParser();

interface Read {
  mode: string;
  /** Statements of each part of a file that is applied in parts. */
  parts?: string[][];
  problems?: string[];
}

function read(source: string): Required<Read> {
  const { mode, segments, problems } = classify('1_a.sql', source, parse);
  return {
    mode,
    parts: segments.map(({ statements }) => statements.map(({ from, to }) => source.slice(from, to))),
    problems: problems.map(({ message, at }) => `${at?.line}: ${message}`),
  };
}

const CASES: [name: string, source: string, expected: Read][] = [
  ['a pair around the whole file', 'begin; select 1; commit;', { mode: 'together' }],
  ['comments behind the COMMIT', 'begin; select 1; commit; -- done\n', { mode: 'together' }],
  ['nothing before the first COMMIT', 'commit; select 1;', { mode: 'together' }],
  ['empty pairs', 'begin; commit; begin; select 1; end;', { mode: 'together' }],
  ['a lone COMMIT at the end', 'select 1; commit;', { mode: 'together' }],
  ['no transaction of its own', 'select 1;', { mode: 'together' }],
  [
    'two pairs',
    'begin; select 1; commit; begin; select 2; commit;',
    { mode: 'outside', parts: [['select 1'], ['select 2']] },
  ],
  [
    'what stands between two pairs belongs to the second, as in the CLI',
    'begin; select 1; commit; select 2; begin; select 3; commit; select 4;',
    { mode: 'outside', parts: [['select 1'], ['select 2', 'select 3'], ['select 4']] },
  ],
  [
    'a statement that no transaction can hold, within a part',
    'select 1; commit; select 2; vacuum; select 3;',
    { mode: 'outside', parts: [['select 1'], ['select 2'], ['vacuum'], ['select 3']] },
  ],
  [
    'an isolation level needs a transaction of its own',
    'begin isolation level repeatable read; select 1; commit;',
    { mode: 'outside', parts: [['select 1']] },
  ],
  [
    'SET TRANSACTION without BEGIN, as in the CLI',
    'set transaction isolation level serializable; select 1;',
    { mode: 'outside', parts: [['select 1']] },
  ],
  [
    'a level behind the first query',
    'select 1;\nset transaction isolation level serializable;',
    {
      mode: 'together',
      problems: ['2: the isolation level is set behind the first statement of its transaction'],
    },
  ],
  [
    'ROLLBACK',
    'select 1;\nrollback;',
    { mode: 'together', problems: ['2: ROLLBACK would end the transaction in the middle of the file'] },
  ],
  [
    'PREPARE TRANSACTION',
    "begin; select 1;\nprepare transaction 'x';",
    {
      mode: 'together',
      problems: ['2: PREPARE TRANSACTION would end the transaction in the middle of the file'],
    },
  ],
  ['SELECT INTO in a UNION', 'select 1 as a into t union select 2;', { mode: 'explicit' }],
];
for (const [name, source, expected] of CASES)
  test(`row 28, row 29: a file's own transactions: ${name}`, () =>
    assert.deepEqual(read(source), { parts: [], problems: [], ...expected }));

test('the text behind a COMMIT is what is left of a file that was begun', () => {
  const source = 'begin;\nselect 1;\ncommit;\nselect 2;\n';
  const [first] = classify('1_a.sql', source, parse).segments;
  assert.equal(source.slice(0, first?.end), 'begin;\nselect 1;\ncommit');
  const begun = classify('1_a.sql', source, parse, { stands: first?.end ?? 0 });
  assert.equal(begun.standing, 1);
});

test('row 28: a down file with COMMITs of its own is refused', () => {
  const down = { version: '1', name: 'a', file: '1_a.down.sql' };
  const problems = (source: string): string[] =>
    prepareDown({ ...down, source }, parse).problems.map(({ message }) => message);
  assert.deepEqual(problems('begin; select 1; commit;'), []);
  assert.match(problems('select 1; commit; select 2;').join(), /has COMMITs of its own/);
});

test('row 32: REINDEX and CLUSTER of what is partitioned cannot run in a transaction', () => {
  const source =
    'create table public.p (a int) partition by range (a);\ncreate index i on p (a);\nreindex table p;\nreindex index i;\nreindex table q;\ncluster r;';
  const statements = parse(source).statements ?? [];
  const partitioned = isPartitioned([{ schema: 'public', name: 'r' }], statements);
  const alone = classify('1_a.sql', source, parse, { partitioned }).segments.filter(
    (segment) => segment.alone,
  );
  assert.deepEqual(
    alone.flatMap((segment) => segment.statements.map(({ from, to }) => source.slice(from, to))),
    ['reindex table p', 'reindex index i', 'cluster r'],
  );
  assert.equal(relationsToAsk(parse('create index i on p (a);').statements ?? []).length, 0);
});
