import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { carryChunks, filesBelow } from '../../../src/worker/build/build-output.js';

describe('static files that pages of the version before still name', () => {
  let root: string;
  before(() => {
    root = mkdtempSync(join(tmpdir(), 'muva-chunks-'));
  });
  after(() => rmSync(root, { recursive: true, force: true }));

  /** A version with these files; each holds the version's name. */
  function version(name: string, files: readonly string[]): string {
    const folder = mkdtempSync(join(root, `${name}-`));
    for (const file of files) {
      mkdirSync(dirname(join(folder, file)), { recursive: true });
      writeFileSync(join(folder, file), name);
    }
    return folder;
  }

  for (const place of ['.next/static', '.next/standalone/.next/static', 'dist/assets'])
    test(`${place}: one generation is carried over, beside what is new`, () => {
      const live = version('v2', [
        `${place}/v1.js`,
        `${place}/chunks/v2.js`,
        `${place}/same.css`,
        'server.js',
      ]);
      const next = version('v3', [`${place}/chunks/v3.js`, `${place}/same.css`]);
      assert.deepEqual(carryChunks(live, next, [`${place}/v1.js`]), [`${place}/chunks/v2.js`]);
      const there = filesBelow(next).sort();
      assert.deepEqual(there, [`${place}/chunks/v2.js`, `${place}/chunks/v3.js`, `${place}/same.css`]);
      assert.equal(readFileSync(join(next, place, 'same.css'), 'utf8'), 'v3');
    });

  test('a standalone build whose static files nobody copied is given no such folder', () => {
    const live = version('v1', ['.next/standalone/.next/static/a.js']);
    const next = version('v2', ['.next/standalone/server.js']);
    assert.deepEqual(carryChunks(live, next, []), []);
  });
});
