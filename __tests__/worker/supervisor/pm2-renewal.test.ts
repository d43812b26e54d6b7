import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { Instance } from '../../../src/worker/supervisor/entry.js';
import { entryIn } from '../../../src/worker/supervisor/pm2-client.js';
import { renewalFor } from '../../../src/worker/supervisor/pm2-renewal.js';
import { isOneRestart } from '../../../src/worker/supervisor/pm2-watch.js';

const [NPM, SERVER] = ['/usr/bin/npm', '/var/www/app/server.js'];

describe('row 165: what PM2 is told', () => {
  const table: [Parameters<typeof renewalFor>, ReturnType<typeof renewalFor>][] = [
    [[{ mode: 'cluster', script: SERVER }, 'daemon'], 'reload'],
    [[{ mode: 'cluster', script: SERVER }, 'unknown'], 'reload'],
    [[{ mode: 'cluster', script: SERVER }, 'application'], 'restart'],
    [[{ mode: 'cluster', script: NPM }, 'application'], 'restart'],
    [[{ mode: 'cluster', script: NPM }, 'unknown'], 'restart'],
    [[{ mode: 'cluster', script: NPM }, 'daemon'], 'reload'],
    [[{ mode: 'fork', script: SERVER }, 'application'], 'restart'],
    [[{ mode: 'fork', script: SERVER }, 'unknown'], 'restart'],
  ];
  for (const [[entry, holder], expected] of table)
    test(`row 165: ${entry.script} in ${entry.mode} mode, ${holder} on the port: ${expected}`, () =>
      assert.equal(renewalFor(entry, holder), expected));
});

describe('row 165: one restart that a port that changes hands can explain', () => {
  const one = (restarts: number, status = 'online'): Instance[] => [{ id: 0, pid: 1, status, restarts }];
  const table: [string, Instance[], Instance[], boolean][] = [
    ['none', one(3), one(3), true],
    ['one', one(3), one(4), true],
    ['one to come', one(3), one(3, 'waiting restart'), true],
    ['two', one(3), one(5), false],
    ['given up', one(3), one(3, 'errored'), false],
    ['stopped', one(3), one(3, 'stopped'), false],
    ['gone', one(3), [], false],
  ];
  for (const [title, first, second, expected] of table)
    test(`row 165: ${title}`, () => assert.equal(isOneRestart(first, second), expected));
});

describe("row 165: PM2's delay before it starts a program again", () => {
  const table: [Record<string, unknown>, number | undefined][] = [
    [{}, undefined],
    [{ restart_delay: 4_000 }, 4_000],
    [{ restart_delay: '4000' }, 4_000],
    [{ restart_delay: 0 }, undefined],
    [{ restart_delay: 4_000, exp_backoff_restart_delay: 100 }, 100],
  ];
  for (const [given, expected] of table)
    test(`row 165: ${JSON.stringify(given)}`, () => {
      const list = JSON.stringify([{ name: 'app', pm_id: 0, pid: 1, pm2_env: given }]);
      assert.equal(entryIn(list, 'app')?.restartDelay, expected);
    });
});
