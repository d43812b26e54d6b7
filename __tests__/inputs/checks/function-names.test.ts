import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseFunctionName } from '../../../src/inputs/checks/function-names.js';
import { accepted, refused, URL_OK } from '../parsed.js';

test('commas in parentheses do not part the functions', () => {
  const list = 'price(integer, text), touch()\napp."We ird"(app.mood,\n  numeric(10, 2)[]), plain';
  const read = accepted({ 'database-url': URL_OK, 'required-functions': list }).database?.requiredFunctions;
  assert.deepEqual(read, [
    {
      schema: 'public',
      name: 'price',
      arguments: [
        { name: 'int4', array: false },
        { name: 'text', array: false },
      ],
    },
    { schema: 'public', name: 'touch', arguments: [] },
    {
      schema: 'app',
      name: 'We ird',
      arguments: [
        { schema: 'app', name: 'mood', array: false },
        { name: 'numeric', array: true },
      ],
    },
    { schema: 'public', name: 'plain' },
  ]);
});

const TYPES: [given: string, schema: string | undefined, name: string, array?: boolean][] = [
  ['int', undefined, 'int4'],
  ['BIGINT', undefined, 'int8'],
  ['timestamp  with time zone', undefined, 'timestamptz'],
  ['character varying(20)', undefined, 'varchar'],
  ['double precision[]', undefined, 'float8', true],
  ['int[][]', undefined, 'int4', true],
  ['uuid', undefined, 'uuid'],
  ['pg_catalog.int4', 'pg_catalog', 'int4'],
  ['"char"', undefined, 'char'],
  ['char', undefined, 'bpchar'],
  ['"a.b"', undefined, 'a.b'],
  ['constructor', undefined, 'constructor'],
];
for (const [given, schema, name, array = false] of TYPES)
  test(`the type ${given} is ${name} in the catalogue`, () =>
    assert.deepEqual(parseFunctionName(`f(${given})`), {
      schema: 'public',
      name: 'f',
      arguments: [{ ...(schema === undefined ? {} : { schema }), name, array }],
    }));

for (const wrong of [
  'f(',
  'f)',
  'f(integer,)',
  'f(,)',
  'f(a integer)',
  'f() g',
  "f('x')",
  'a.b.c(int)',
  'f(int))',
])
  test(`required-functions: ${wrong} is refused with what would be right`, () =>
    refused(
      { 'database-url': URL_OK, 'required-functions': wrong },
      'required-functions',
      /function\(integer, text\)/,
    ));
