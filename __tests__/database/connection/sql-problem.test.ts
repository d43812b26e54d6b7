import assert from 'node:assert/strict';
import { test } from 'node:test';
import { SqlError } from '../../../src/database/connection/sql-error.js';
import { failureOf } from '../../../src/database/connection/sql-problem.js';
import { Cancelled, Failure } from '../../../src/lib/report.js';

test("row 52: a time-out of the role is not told as a person's cancel", () => {
  const late = failureOf(
    new SqlError({ code: '57014', message: 'canceling statement due to statement timeout' }),
    'looking',
  );
  assert.ok(late instanceof Failure && !(late instanceof Cancelled));
  assert.match(late.problems[0]?.next ?? '', /statement_timeout/);
  const stopped = failureOf(
    new SqlError({ code: '57014', message: 'canceling statement due to user request' }),
    'looking',
  );
  assert.ok(stopped instanceof Cancelled);
});
