import assert from 'node:assert/strict';
import { test } from 'node:test';
import { classify } from '../../../src/database/migrations/classify.js';
import { loadParser } from '../../../src/database/sql/parser.js';

test('row 25: a file that the parser has no memory for is refused in words, and the next one is parsed', async () => {
  const parse = await loadParser();
  const statement = `insert into public.a values (1, '${'x'.repeat(32)}');\n`;
  for (const megabytes of [40, 85]) {
    const source = statement.repeat(Math.ceil((megabytes * 1024 * 1024) / statement.length));
    const { problems } = classify('1_a.sql', source, parse);
    assert.match(
      problems[0]?.message ?? '',
      new RegExp(`1_a\\.sql is too large to be parsed \\(${megabytes} MB\\)`),
    );
    assert.deepEqual(classify('2_b.sql', 'select 1;', parse).problems, []);
  }
});
