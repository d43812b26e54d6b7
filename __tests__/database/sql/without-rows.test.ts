import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { loadParser } from '../../../src/database/sql/parser.js';
import { withoutRows } from '../../../src/database/sql/without-rows.js';

const rows = (count: number): string =>
  Array.from({ length: count }, (_, n) => `(${n}, 'it''s ); (ü 😀 ${n}', array[(1), (2)])`).join(
    ',\n  -- (, ) one more\n  ',
  );
const LONG = rows(1_000);
const before = 'create table t (id int, name text, list int[]);\n';

describe('long lists of rows', () => {
  const cases: [string, string, boolean][] = [
    ['an insert', `${before}insert into t values ${LONG};\nselect 1;`, true],
    ['with what follows the rows', `insert into t values ${LONG} on conflict do nothing returning id;`, true],
    ['in other letters, with comments around', `INSERT INTO t VaLuEs /* ( */ ${LONG} -- )\n;`, true],
    ['two of them', `insert into t values ${LONG};insert into t values ${LONG}`, true],
    ['a view of rows', `create view v as values ${LONG};`, true],
    ['short ones', `insert into t values ${rows(3)};\n${'-- padding\n'.repeat(3_000)}`, false],
    ['in a subquery', `select * from (values ${LONG}) v;`, false],
    [
      'in a function',
      `create function f() returns void language sql as $$ insert into t values ${LONG} $$;`,
      false,
    ],
    ['in a text', `select 'values (${'x'.repeat(40_000)})';`, false],
    ['a name', `select values_of, "values" from t where name = '${'x'.repeat(40_000)}';`, false],
    ['one that is not closed', `insert into t values (1, ${'2, '.repeat(20_000)}`, false],
  ];
  for (const [name, source, shorter] of cases)
    test(`${name}: all else stays where it was`, async () => {
      const text = withoutRows(source);
      assert.equal(text !== source, shorter);
      assert.equal(text.length, source.length);
      assert.equal(text.split('\n').length, source.split('\n').length);
      const parse = await loadParser();
      const parsed = parse(source);
      if (name === 'one that is not closed') return assert.ok('wrong' in parsed);
      const { statements = [] } = parsed;
      assert.ok(statements.length > 0);
      for (const { from, to } of statements) assert.match(source.slice(from, to), /^(create|insert|select)/i);
      const last = statements.at(-1)!;
      assert.equal(
        source
          .slice(last.to)
          .replace(/;|--.*/g, '')
          .trim(),
        '',
      );
    });

  test('what is wrong behind the rows is found where it stands', async () => {
    const source = `insert into t values ${LONG};\nselekt 1;`;
    const parsed = (await loadParser())(source);
    assert.ok('wrong' in parsed && parsed.wrong);
    assert.equal(parsed.wrong.index, source.indexOf('selekt'));
  });
});
