import assert from 'node:assert/strict';
import { test } from 'node:test';
import { classify } from '../../../src/database/migrations/classify.js';
import { loadParser } from '../../../src/database/sql/parser.js';

const parse = await loadParser();
const CUT = 'vacuum;';

/** What each part is given from the parts before it, and `line: problem`. */
function carried(source: string): { again: string[][]; wrong: string[] } {
  const shape = classify('1_a.sql', source, parse);
  return {
    again: shape.segments.map(({ sessionSetup: again }) =>
      again.map(({ from, to }) => source.slice(from, to)),
    ),
    wrong: [...shape.problems, ...shape.sessionBound.map(({ problem }) => problem)].map(
      ({ message, at }) => `${at?.line}: ${message}`,
    ),
  };
}

const AGAIN: [name: string, source: string, again: string[][]][] = [
  [
    'SET and RESET, in order',
    `set a.b = 1; reset all; ${CUT} select 1;`,
    [[], ['set a.b = 1', 'reset all'], ['set a.b = 1', 'reset all']],
  ],
  ['SET ROLE', `set role anon; ${CUT}`, [[], ['set role anon']]],
  ['what ends with its transaction', `set local a.b = 1; set transaction read only; ${CUT}`, [[], []]],
  [
    'set_config',
    `select set_config('a.b', '1', false), pg_catalog.set_config('a.c', '', true); ${CUT}`,
    [[], ["select set_config('a.b', '1', false), pg_catalog.set_config('a.c', '', true)"]],
  ],
  ['set_config for the transaction', `select set_config('a.b', '1', true); ${CUT}`, [[], []]],
  ['nothing of a file in one part', 'set a.b = 1; select 1;', []],
];
for (const [name, source, again] of AGAIN)
  test(`set again in each later part: ${name}`, () =>
    assert.deepEqual(carried(source), { again, wrong: [] }));

const LOST: [name: string, source: string, wrong: RegExp | undefined][] = [
  [
    'a temporary table',
    `create temp table t (id int);\n${CUT}\ninsert into t values (1);`,
    /^3: the temporary relation t does not last/,
  ],
  [
    'one made from a query',
    `select 1 as a into temp t;\n${CUT}\nselect * from public.u join t using (a);`,
    /^3: .*relation t/,
  ],
  [
    'in a DO block',
    `create temp table t (id int);\n${CUT}\ndo $$ begin insert into T values (1); end $$;`,
    /^3: .*relation t/,
  ],
  [
    'dropped, which could meet another',
    `create temp table t (id int);\n${CUT}\ndrop table t;`,
    /^3: .*relation t/,
  ],
  ['a temporary sequence', `create temp sequence s;\n${CUT}\nselect nextval('s');`, /^3: .*relation s/],
  [
    'a temporary function',
    `create function pg_temp.f() returns int language sql as 'select 1';\n${CUT}\nselect pg_temp.f();`,
    /^3: the function pg_temp.f/,
  ],
  [
    'IF NOT EXISTS',
    `create temp table t (id int);\n${CUT}\ncreate temp table if not exists t (id int);`,
    /^3: .*relation t/,
  ],
  ['a prepared statement', `prepare q as select 1;\n${CUT}\nexecute q;`, /^3: the prepared statement q/],
  ['a cursor', `declare c cursor with hold for select 1;\n${CUT}\nfetch c;`, /^3: the cursor c/],
  [
    'a value that is computed',
    `select set_config('a.b', v, false) from x;\n${CUT}`,
    /^1: what set_config sets here is lost/,
  ],
  [
    'a table of that name in a schema',
    `create temp table t (id int);\n${CUT}\ninsert into public.t values (1);`,
    undefined,
  ],
  [
    'made anew',
    `create temp table t (id int);\n${CUT}\ncreate temp table t (id int); insert into t values (1);`,
    undefined,
  ],
  [
    'dropped in time',
    `create temp table t (id int); drop table t;\n${CUT}\ninsert into t values (1);`,
    undefined,
  ],
  ['used in its own part', `${CUT}\ncreate temp table t (id int); insert into t values (1);`, undefined],
  ['a computed value in the last part', `${CUT}\nselect set_config('a.b', v, false) from x;`, undefined],
];
for (const [name, source, wrong] of LOST)
  test(`${wrong ? 'told' : 'fine'} across parts: ${name}`, () => {
    const found = carried(source).wrong;
    assert.equal(found.length, wrong ? 1 : 0, found.join());
    if (wrong) assert.match(found[0]!, wrong);
  });
