import assert from 'node:assert/strict';
import { test } from 'node:test';
import { statementKind } from '../../../src/database/sql/statement-kind.js';

const KINDS: [statement: string, kind: string | undefined][] = [
  ['create table public.secret (id int)', 'CREATE TABLE'],
  ['-- why\n/* and */ create or replace function f() returns int', 'CREATE FUNCTION'],
  ['create unique index concurrently on t (a)', 'CREATE UNIQUE INDEX'],
  ['create or replace temp view v as select 1', 'CREATE TEMP VIEW'],
  ['alter default privileges in schema public grant', 'ALTER DEFAULT PRIVILEGES'],
  ['alter table only table_of_mine add b int', 'ALTER TABLE'],
  ["select 'sk-live'", 'SELECT'],
  ["set app.key = 'sk-live'", 'SET'],
  ['insert into sk_live values (1)', 'INSERT'],
  ["'sk-live'; select 1", undefined],
  ['sk_live', undefined],
  ['$x$ select $x$', undefined],
  ['', undefined],
];

for (const [statement, kind] of KINDS)
  test(`row 150: the kind of ${JSON.stringify(statement)} is ${kind ?? 'not known'}`, () =>
    assert.equal(statementKind(statement), kind));
