import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';

/** At the top of a file nothing is indented, which the formatter sees to. */
const DECLARATION =
  /^(export )?(?:declare )?(?:abstract )?(?:async )?(?:function\*?|const|let|class|interface|type|enum) +([A-Za-z_$][\w$]*)/gm;

const files = readdirSync('src', { recursive: true })
  .map(String)
  .filter((file) => file.endsWith('.ts'))
  .sort();

/** Each name at the top of a file, with the files that declare it and whether one of them exports it. */
function declarations(): Map<string, { files: Set<string>; exported: boolean }> {
  const names = new Map<string, { files: Set<string>; exported: boolean }>();
  for (const file of files)
    for (const [, exported, name = ''] of readFileSync(join('src', file), 'utf8').matchAll(DECLARATION)) {
      const known = names.get(name) ?? { files: new Set(), exported: false };
      known.files.add(file);
      names.set(name, { ...known, exported: known.exported || exported !== undefined });
    }
  return names;
}

describe('names', () => {
  test('an exported name is declared once: no other file declares it at its top', () => {
    const names = declarations();
    assert.ok(names.size > 1_000);
    const wrong = [...names]
      .filter(([, { files: where, exported }]) => exported && where.size > 1)
      .map(([name, { files: where }]) => `${name}: ${[...where].join(', ')}`);
    assert.deepEqual(wrong, [], 'one word, one meaning: give the other thing a word of its own');
  });
});
