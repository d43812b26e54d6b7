import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';

const dist = join(process.cwd(), 'dist');

describe('dist', () => {
  test('holds JavaScript and licences only: nothing native, nothing executable of others', () => {
    const files = readdirSync(dist, { recursive: true, withFileTypes: true }).filter((entry) =>
      entry.isFile(),
    );
    const foreign = files.map((entry) => entry.name).filter((name) => !/\.(js|txt)$/.test(name));
    assert.deepEqual(foreign, []);
    for (const file of ['index.js', 'cli.js', 'worker.js'])
      assert.ok(
        files.some((entry) => entry.name === file),
        file,
      );
  });

  test('names the licence of every package that is bundled', () => {
    const text = readFileSync(join(dist, 'LICENSES.txt'), 'utf8');
    for (const name of [
      '@actions/core',
      '@actions/github',
      'pg',
      'pg-protocol',
      'node-ssh',
      'ssh2',
      'libpg-query',
    ]) {
      assert.ok(text.includes(`\n${name} `) || text.startsWith(`${name} `), name);
    }
  });
});
