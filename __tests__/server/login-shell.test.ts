import assert from 'node:assert/strict';
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { Failure } from '../../src/lib/report.js';
import { openFleet } from '../../src/server/fleet/fleet.js';
import { askWorker } from '../../src/server/worker-client.js';
import { startSshd } from '../servers/sshd.js';
import { workerBundle } from '../servers/worker-bundle.js';
import { sshSettings } from './fleet-settings.js';

describe('row 87: a login that does not run our command', () => {
  let folder: string;
  before(() => {
    folder = mkdtempSync(join(tmpdir(), 'muva-shell-'));
  });
  after(() => rmSync(folder, { recursive: true, force: true }));

  /** The problem of one question to a server whose login shell is `shellPath`. */
  async function problemOf(shellPath: string): Promise<{ message: string; next?: string }> {
    const server = await startSshd({ shellPath });
    const fleet = openFleet({ ssh: sshSettings([server]) }, { dist: await workerBundle(), log: () => {} });
    const app = {
      appPath: '/nonexistent/app',
      appName: 'web',
      strategy: 'auto',
      adoptEnvironment: false,
    } as const;
    try {
      const request = { command: 'cancel', app, run: { id: '1', attempt: 1 } } as const;
      await askWorker(fleet, fleet.hosts[0]!, request, { deadline: 20_000 });
    } catch (error) {
      assert.ok(error instanceof Failure, String(error));
      return error.problems[0]!;
    } finally {
      await fleet.close();
      await server.stop();
    }
    return assert.fail('it was answered');
  }

  function shell(name: string, text: string): string {
    const path = join(folder, name);
    writeFileSync(path, `#!/bin/sh\n${text}\n`, { mode: 0o755 });
    return path;
  }

  const NEXT = /must be able to run sh: check its login shell .*command= in authorized_keys/;

  const shells = [
    [
      '/usr/sbin/nologin',
      /did not run our command, and ended with exit code 1: This account is currently not/,
    ],
    ['/usr/bin/git-shell', /exit code 128: fatal: unrecognized command/],
  ] as const;
  for (const [path, said] of shells.filter(([file]) => existsSync(file)))
    test(`${path}: its own words are the reason`, async () => {
      const { message, next } = await problemOf(path);
      assert.match(message, said);
      assert.match(next!, NEXT);
    });

  test('a forced command that greets and ends well is no answer either', async () => {
    const { message, next } = await problemOf(shell('greeter', 'echo one; echo two; echo three; echo four'));
    assert.match(message, /exit code 0: two \/ three \/ four$/);
    assert.match(next!, NEXT);
  });

  test('a command that ran and failed is not blamed on the login', async () => {
    const { message, next } = await problemOf(shell('crash', 'echo; echo it broke >&2; exit 3'));
    assert.match(message, /ended with exit code 3: it broke/);
    assert.equal(next, undefined);
  });
});
