/** In which order a plan tells what it found, and what it sums up. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { constantSql } from '../../../src/database/lint/constant-sql.js';
import { findingProblem } from '../../../src/database/lint/finding-problem.js';
import type { LintFinding } from '../../../src/database/lint/lint.js';
import { refusedByPartitioned } from '../../../src/database/lint/partitioned-refusals.js';
import { sumUpRemarks } from '../../../src/database/lint/remarks.js';
import { classify } from '../../../src/database/migrations/classify.js';
import type { Remark } from '../../../src/database/migrations/file-shape.js';
import { warningsOf } from '../../../src/database/plan.js';
import { loadParser } from '../../../src/database/sql/parser.js';

const parse = await loadParser();

function remark(kind: Remark['kind'], number: number): Remark {
  return { kind, file: `supabase/migrations/${number}_a.sql`, problem: { message: `${kind} ${number}` } };
}

test('many remarks of a kind are one line; one alone is told as it is', () => {
  const many = [1, 2, 3, 4, 5].map((number) => remark('own-transaction', number));
  assert.deepEqual(
    sumUpRemarks([...many, remark('empty', 9)]).map(({ message }) => message),
    [
      '5 files have a BEGIN and COMMIT of their own around them, which are left out: each is one transaction anyway (1_a.sql, 2_a.sql, 3_a.sql and 2 more)',
      'empty 9',
    ],
  );
  assert.deepEqual(sumUpRemarks([]), []);
});

function finding(effect: LintFinding['effect']): LintFinding {
  const at = { file: 'a.sql', line: 1, column: 1 };
  return {
    rule: effect,
    effect,
    lock: 'SHARE',
    instead: 'x',
    at,
    statement: 's',
    version: '1',
    from: 0,
    waits: false,
  };
}

test('what deletes data and what cannot be read comes first, then other warnings, then locks, then remarks', () => {
  const plan = {
    findings: [finding('deletes'), finding('unknown'), finding('locks')],
    warnings: [{ message: 'edited' }],
    remarks: [remark('empty', 1)],
  };
  const words = warningsOf(plan).map(({ message }) => message.replace(/.*\((\w+)\).*/, '$1'));
  assert.deepEqual(words, ['deletes', 'unknown', 'edited', 'locks', 'empty 1']);
});

test('an UPDATE changes rows; what is refused names the input', () => {
  assert.equal(findingProblem(finding('changes')).message, 's: changes every row (changes)');
  assert.match(
    findingProblem(finding('unknown'), 'refused').next ?? '',
    /known to be right: destructive-changes: warn/,
  );
});

test('constant text', () => {
  const value = (sql: string): string | undefined => {
    const [target] = (parse(`select ${sql}`).statements?.[0]?.node.targetList ?? []) as {
      ResTarget?: { val?: unknown };
    }[];
    return constantSql(target?.ResTarget?.val);
  };
  const cases: [sql: string, text: string | undefined][] = [
    ["'a' || 'b' || 'c'", 'abc'],
    ["'a'::text", 'a'],
    ["format('drop table %I.%I %s %L %%', 'a', 'B c', 'd', 'it''s')", `drop table "a"."B c" d 'it''s' %`],
    ["format('%1$s', 'a')", undefined],
    ["format('%s', x)", undefined],
    ["'a' || x", undefined],
    ['x', undefined],
    ["lower('A')", undefined],
  ];
  for (const [sql, text] of cases) assert.equal(value(sql), text, sql);
});

test('what a partitioned table refuses is refused in plan, by version', () => {
  const refused = (sql: string, serverVersion = 170_000): string[] => {
    const shape = classify('a.sql', sql, parse);
    const facts = {
      asked: { relations: [], functions: [] },
      serverVersion,
      relations: [
        { schema: 'public', name: 'p', kind: 'p' },
        { schema: 'public', name: 't', kind: 'r' },
      ],
      notNullChecks: [],
      functions: [],
    };
    return refusedByPartitioned({ file: 'a.sql', source: sql, shape }, facts).map(
      ({ at }) => `${at?.line}:${at?.column}`,
    );
  };
  assert.deepEqual(refused('create index concurrently on p (a);\ncreate index concurrently on t (a);'), [
    '1:1',
  ]);
  assert.deepEqual(refused('create index concurrently on other.p (a);'), []);
  const key = 'alter table public.p add foreign key (a) references t not valid;';
  assert.deepEqual(refused(key), ['1:1']);
  assert.deepEqual(refused(key, 180_000), []);
  assert.deepEqual(refused('alter table p add constraint k unique using index i;'), ['1:1']);
  assert.deepEqual(
    refused('alter table p add constraint k check (a > 0) not valid; create index on p (a);'),
    [],
  );
});
