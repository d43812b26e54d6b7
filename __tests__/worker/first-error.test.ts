import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { firstError } from '../../src/worker/build/first-error.js';
import { unknownName } from '../../src/worker/supervisor/pm2-look.js';

describe('what is shown of a build that failed', () => {
  test('the first error with its file and position, without colours', () => {
    const output = [
      'Creating an optimized production build ...',
      '\u001b[31mFailed to compile.\u001b[39m',
      '',
      './app/page.tsx:5:10',
      "Type error: Cannot find name 'x'.",
      ...Array.from({ length: 30 }, (_, index) => `noise ${index}`),
    ].join('\n');
    const [headline, place, reason] = firstError(output).split('\n');
    assert.deepEqual(
      [headline, place, reason],
      ['Failed to compile.', './app/page.tsx:5:10', "Type error: Cannot find name 'x'."],
    );
    assert.equal(firstError(output).split('\n').length, 12);
  });

  test('as tsc has it', () =>
    assert.match(firstError('building\nsrc/a.ts(3,7): error TS2322: no\ndone'), /^src\/a\.ts\(3,7\)/));

  test('the end, where nothing names a place, or only a stack and packages do', () => {
    const noise = Array.from({ length: 20 }, (_, index) => `line ${index}`);
    for (const place of ['    at run (/srv/app/build.js:3:1)', '/srv/node_modules/x/y.js:1'])
      assert.equal(firstError([place, ...noise].join('\n')), noise.slice(-12).join('\n'));
  });
});

describe('row 99: an application that PM2 does not know', () => {
  const app = { appName: 'shop', appPath: '/var/www/app' };
  const table: [{ name: string; cwd: string }[], string[], RegExp, RegExp][] = [
    [
      [
        { name: 'web', cwd: '/var/www/app' },
        { name: 'api', cwd: '/srv/api' },
      ],
      [],
      /It runs web \(in app-path\), api\./,
      /^Correct app-name: web\./,
    ],
    [[{ name: 'api', cwd: '/srv/api' }], [], /It runs api\./, /app-name or app-path/],
    [[], [], /"shop"\.$/, /pm2 ls/],
    [[], ['/root/.pm2'], /Another PM2 runs here with the home \/root\/\.pm2/, /Connect as the user/],
  ];
  for (const [running, daemons, message, next] of table)
    test(`row 99: ${running.map(({ name }) => name).join(', ') || 'nothing'} runs, ${daemons.length} other daemons`, () => {
      const problem = unknownName(app, running, daemons);
      assert.match(problem.message, message);
      assert.match(problem.next ?? '', next);
    });
});
