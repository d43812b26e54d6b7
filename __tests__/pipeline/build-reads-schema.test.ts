import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { tellsOfMissing } from '../../src/lib/missing-schema.js';
import { databaseNamesIn, withMigrateBefore } from '../../src/pipeline/build-reads-schema.js';

describe('a build that asks the database', () => {
  const texts: [string, boolean][] = [
    ['error: relation "rooms" does not exist', true],
    ['PostgresError: column "price" does not exist', true],
    ['column rooms.price does not exist', true],
    ['column "price" of relation "rooms" does not exist', true],
    ["{ code: 'PGRST205', message: \"Could not find the table 'public.rooms' in the schema cache\" }", true],
    ["Could not find the 'price' column of 'rooms' in the schema cache", true],
    ["code: '42P01'", true],
    ['build error: module not found', false],
    ['the folder dist does not exist', false],
    ['Type error: Property price does not exist on type Room', false],
  ];
  for (const [text, expected] of texts)
    test(`row 141: ${expected ? 'a missing table or column' : 'another fault'}: ${text}`, () =>
      assert.equal(tellsOfMissing(text), expected));

  test('row 141: the input that helps is named, and nothing else is changed', () => {
    const [missing, other] = withMigrateBefore([
      {
        message: 'npm run build ended with 1.\nrelation "rooms" does not exist',
        code: '1',
        next: 'See above.',
      },
      { message: 'the disk is full', next: 'Free some space.' },
    ]);
    assert.match(missing!.next!, /Say migrate-before: build/);
    assert.equal(missing!.code, '1');
    assert.equal(other!.next, 'Free some space.');
  });

  test('what reaches the database is found in an env file by its name', () => {
    const text =
      'DATABASE_URL=postgres://x\nexport NEXT_PUBLIC_SUPABASE_ANON_KEY="a"\nSUPABASE_SERVICE_ROLE_KEY=\n# SUPABASE_URL=x\nNEXT_PUBLIC_SUPABASE_URL=https://x\nDATABASE_URL=y\nPORT=3000\n';
    assert.deepEqual(databaseNamesIn(text), [
      'DATABASE_URL',
      'NEXT_PUBLIC_SUPABASE_ANON_KEY',
      'NEXT_PUBLIC_SUPABASE_URL',
    ]);
  });
});
