import assert from 'node:assert/strict';
import { test } from 'node:test';
import { actAs, actAsAgain } from '../../../src/database/connection/acting-role.js';
import { loadParser } from '../../../src/database/sql/parser.js';

/** A statement, and the beginning of what brings the role back behind it. */
const CASES: [sql: string, again: RegExp | ''][] = [
  ['reset role', /^set role "postgres";$/],
  ['set role none', /^set role "postgres";$/],
  ['set local role none', /^set local role "postgres";$/],
  ['set role to default', /^set role "postgres";$/],
  ['reset session authorization', /^set role "postgres";$/],
  ['set session authorization default', /^set role "postgres";$/],
  ['reset all', /^select .*set_config\(s\.name, s\.value, false\)(?!.*lower\(name\) =)/s],
  ['reset search_path', /set_config\(s\.name, s\.value, false\).*lower\(name\) = 'search_path'/s],
  ['set local "TimeZone" to default', /set_config\(s\.name, s\.value, true\).*lower\(name\) = 'timezone'/s],
  ['do $$ begin reset role; end $$', /^select .*where .*current_setting\('role'\) = 'none';$/],
  ['call p()', /= 'none';$/],
  ['select f()', /= 'none';$/],
  ['set role anon', ''],
  ['set search_path = public', ''],
  ['create table t ()', ''],
  ['insert into t select 1', ''],
];

for (const [sql, again] of CASES)
  test(`row 161: a temporary login comes back to its role behind: ${sql}`, async () => {
    const [statement] = (await loadParser())(sql).statements ?? [];
    assert.ok(statement);
    const words = actAsAgain(statement, 'postgres');
    if (again === '') assert.equal(words, '');
    else assert.match(words, again);
    assert.equal(actAsAgain(statement, undefined), '', 'a login of its own needs nothing');
  });

test('row 161: the role is taken with what is set for it, here before everywhere', () => {
  assert.match(actAs('odd "role"'), /^set role "odd ""role"""; select .*order by name, r\.setdatabase desc/s);
});
