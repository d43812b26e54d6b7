import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import {
  classifyPath,
  type FoundPaths,
  isOfHost,
  isOutput,
  isSharedOutput,
  type Owner,
} from '../../../src/worker/host-files/classify.js';

describe('whose a path is on the server', () => {
  const set = (...paths: string[]): ReadonlySet<string> => new Set(paths);
  const made = (...paths: string[]): FoundPaths => ({ isAsMade: (path) => paths.includes(path) });
  const rows: [string, string, FoundPaths, Owner][] = [
    ['the name of the commit', 'REVISION', { sharedPaths: ['REVISION'] }, 'deploy'],
    ['a file of that name elsewhere', 'docs/REVISION', {}, 'people'],
    ['a tracked file', 'src/a.js', { tracked: set('src/a.js') }, 'tracked'],
    [
      'a tracked file in a shared path',
      'up/.keep',
      { tracked: set('up/.keep'), sharedPaths: ['up'] },
      'tracked',
    ],
    ['a tracked file that people changed', 'a.js', { tracked: set('a.js'), changed: set('a.js') }, 'people'],
    [
      'a tracked environment file that people changed',
      '.env',
      { tracked: set('.env'), changed: set('.env'), envFiles: ['.env'] },
      'people',
    ],
    [
      'a tracked file that the build changed',
      'sw.js',
      { tracked: set('sw.js'), changed: set('sw.js'), ...made('sw.js') },
      'made',
    ],
    ['an upload', 'uploads/a.jpg', { sharedPaths: ['uploads'] }, 'shared'],
    ['a shared path inside of output', '.next/cache', { sharedPaths: ['.next/cache'] }, 'shared'],
    ['its neighbour by name', 'uploads2/a.jpg', { sharedPaths: ['uploads'] }, 'people'],
    ['an environment file that is known', 'config/app.env', { envFiles: ['config/app.env'] }, 'env'],
    ['what is called like one', 'apps/web/.env.local', {}, 'env-like'],
    ['a sample', '.env.example', {}, 'people'],
    ['named output', 'lib/a.js', { buildOutput: ['lib'] }, 'named'],
    [
      'named output that is shared',
      'lib/data',
      { buildOutput: ['lib'], sharedPaths: ['lib/data'] },
      'shared',
    ],
    ['output by its name', 'packages/a/dist', {}, 'usual'],
    ['a file in output that is not named', 'dist/a.js', {}, 'people'],
    ['what SQLite keeps beside a shared database', 'a.db-wal', { sharedPaths: ['a.db'] }, 'companion'],
    ['what it keeps beside another', 'b.db-wal', { sharedPaths: ['a.db'] }, 'people'],
    ['what is left of a running program', 'tmp/server.pid', {}, 'litter'],
    ['what a build of ours made', 'sitemap.xml', made('sitemap.xml'), 'made'],
    ['what somebody wrote to since', 'sitemap.xml', made(), 'people'],
    ['a database', 'app.sqlite', {}, 'people'],
  ];
  for (const [name, path, found, owner] of rows)
    test(`${name}: ${owner}`, () => assert.equal(classifyPath(path, found), owner));

  test('nothing is read of which a name tells whose it is', () => {
    const isAsMade = (): never => assert.fail('was read');
    for (const path of ['REVISION', 'dist', '.env', 'npm-debug.log', 'data/a'])
      classifyPath(path, { sharedPaths: ['data'], isAsMade });
  });

  test("what stays the host's, and what every build makes again", () => {
    const owners: Owner[] = ['deploy', 'tracked', 'shared', 'companion', 'env', 'env-like'];
    const others: Owner[] = ['named', 'usual', 'made', 'litter', 'people'];
    assert.deepEqual([...owners, ...others].filter(isOfHost), ['shared', 'env']);
    assert.deepEqual([...owners, ...others].filter(isOutput), ['named', 'usual']);
  });
});

test('a shared path that a build makes anew as a whole', () => {
  const known = { buildOutput: ['var/cache/pages'], made: ['dist', 'data'] };
  const rows: [string, boolean][] = [
    ['node_modules', true],
    ['apps/web/.next', true],
    ['.next/cache', false],
    ['dist', true],
    ['build', false],
    ['data', false],
    ['var/cache', true],
    ['var/cache/pages/kept', false],
  ];
  for (const [path, is] of rows) assert.equal(isSharedOutput(path, known), is, path);
});
