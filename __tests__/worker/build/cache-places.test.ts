import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { Cancelled, Failure } from '../../../src/lib/report.js';
import { coldReason, withinBounds } from '../../../src/worker/build/build-cache.js';
import { type CacheQuestion, cachePlaces, emitsNothing } from '../../../src/worker/build/cache-places.js';
import { endedByItself } from '../../../src/worker/build/ended-by-itself.js';

function placesOf(tracked: string[], more: Partial<CacheQuestion> = {}): string[] {
  const question = { tracked, sharedPaths: [], buildOutput: [], read: () => undefined, ...more };
  return cachePlaces(question).map(({ path }) => path);
}

const ONE = ['.eslintcache', '.next/cache', '.nx/cache', '.turbo', '.vite'];
const ROOT = [...ONE, 'node_modules/.cache', 'node_modules/.vite'];

describe('what is a cache of the build', () => {
  test('row 173: of one package, of the root where there is none, and of each workspace', () => {
    assert.deepEqual(placesOf(['package.json', 'src/page.ts']).sort(), ROOT);
    assert.deepEqual(placesOf([]).sort(), ROOT);
    const workspaces = placesOf(['package.json', 'apps/web/package.json']);
    assert.deepEqual(workspaces.sort(), [...ROOT, ...ROOT.map((path) => `apps/web/${path}`)].sort());
  });

  test('never what a vendored package keeps in node_modules, what the commit tracks, what is shared or named as output', () => {
    assert.deepEqual(placesOf(['node_modules/a/package.json']).sort(), ROOT);
    assert.ok(!placesOf(['package.json', '.turbo/config.json']).includes('.turbo'));
    assert.ok(!placesOf(['package.json', '.eslintcache']).includes('.eslintcache'));
    for (const shared of ['.next/cache', '.next', '.next/cache/images'])
      assert.ok(!placesOf(['package.json'], { sharedPaths: [shared] }).includes('.next/cache'), shared);
    assert.ok(!placesOf(['package.json'], { buildOutput: ['.turbo'] }).includes('.turbo'));
    assert.ok(placesOf(['package.json'], { buildOutput: ['.next'] }).includes('.next/cache'));
  });

  test('what the running version optimized and fetched stays with it', () => {
    const [next] = cachePlaces({ tracked: [], sharedPaths: [], buildOutput: [], read: () => undefined });
    assert.deepEqual(next, { path: '.next/cache', except: ['images', 'fetch-cache'] });
  });

  test('row 173: a tsbuildinfo only beside a tsconfig that says itself that nothing is written', () => {
    const texts: [string, boolean][] = [
      ['{"compilerOptions":{"noEmit":true}}', true],
      ['{\n  // types alone\n  "compilerOptions": { "noEmit": true, /* more */ },\n}', true],
      ['{"compilerOptions":{"paths":{"@/*":["./src/*"]},"noEmit":true}}', true],
      ['{"compilerOptions":{"noEmit":"true"}}', false],
      ['{"compilerOptions":{"noEmit":false}}', false],
      ['{"compilerOptions":{"outDir":"// \\"noEmit\\": true"}}', false],
      ['{"extends":"./base.json"}', false],
      ['{', false],
      ['null', false],
      ['', false],
    ];
    for (const [text, expected] of texts) assert.equal(emitsNothing(text), expected, text);
    const tracked = ['package.json', 'tsconfig.json', 'apps/web/tsconfig.build.json', 'tsconfig.base.json'];
    const read = (path: string) =>
      path === 'tsconfig.base.json' ? '{}' : '{"compilerOptions":{"noEmit":true}}';
    assert.deepEqual(
      placesOf(tracked, { read }).filter((path) => path.endsWith('.tsbuildinfo')),
      ['tsconfig.tsbuildinfo', 'apps/web/tsconfig.build.tsbuildinfo'],
    );
  });
});

describe('whether caches are brought', () => {
  test('row 173: not after a warm build that failed, nor after two whose end nobody knows', () => {
    assert.equal(coldReason({}), undefined);
    assert.equal(coldReason({ unfinished: 1 }), undefined);
    assert.equal(coldReason({ unfinished: 2 }), 'the last 2 warm builds did not end');
    assert.equal(coldReason({ failed: true }), 'the last warm build failed');
  });

  const MB = 1_048_576;
  const place = (path: string, megabytes: number, entries = 10) => ({
    path,
    bytes: megabytes * MB,
    entries,
  });
  test('row 173: bounded in size, by free disk and by inodes, the small ones first', () => {
    const cases: [ReturnType<typeof place>[], { freeBytes: number; freeInodes?: number }, string[]][] = [
      [[place('a', 30), place('b', 3)], { freeBytes: 10_000 * MB }, ['b', 'a']],
      [[place('a', 2_100), place('b', 3)], { freeBytes: 10_000 * MB }, ['b']],
      [[place('a', 1_500), place('b', 700)], { freeBytes: 10_000 * MB }, ['b']],
      [[place('a', 30), place('b', 3)], { freeBytes: 1_040 * MB }, ['b']],
      [[place('a', 30), place('b', 3)], { freeBytes: 500 * MB }, []],
      [[place('a', 30, 900), place('b', 3)], { freeBytes: 10_000 * MB, freeInodes: 50_100 }, ['b']],
    ];
    for (const [measured, room, taken] of cases) {
      const chosen = withinBounds(measured, room);
      assert.deepEqual(
        chosen.taken.map(({ path }) => path),
        taken,
      );
      assert.equal(chosen.taken.length + chosen.left.length, measured.length);
    }
  });
});

describe('row 173: a failed build that ended by itself', () => {
  const cases: [string, unknown, boolean][] = [
    ['an error of the code', new Failure({ message: 'npm run build ended with 1.', code: '1' }), true],
    ['a signal', new Failure({ message: 'npm run build was ended by SIGTERM' }), false],
    ['128 and a signal', new Failure({ message: 'npm run build ended with 137', code: '137' }), false],
    [
      'a worker of the build that was killed',
      new Failure({ message: 'build worker exited with code: null and signal: SIGKILL', code: '1' }),
      false,
    ],
    ['a full heap', new Failure({ message: 'JavaScript heap out of memory', code: '1' }), false],
    ['a full disk', new Failure({ message: 'ENOSPC: no space left on device', code: '1' }), false],
    ['a build that left nothing', new Failure({ message: 'The build ended with 0, but' }), false],
    ['a cancel', new Cancelled(), false],
  ];
  for (const [name, error, expected] of cases) test(name, () => assert.equal(endedByItself(error), expected));
});
