import assert from 'node:assert/strict';
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { Failure } from '../../src/lib/report.js';
import { openFleet } from '../../src/server/fleet/fleet.js';
import { askWorker } from '../../src/server/worker-client.js';
import { type SshdOptions, startSshd } from '../servers/sshd.js';
import { workerBundle } from '../servers/worker-bundle.js';
import { sshSettings } from './fleet-settings.js';

describe('row 87: a login that does not run our command', () => {
  let folder: string;
  before(() => {
    folder = mkdtempSync(join(tmpdir(), 'muva-shell-'));
  });
  after(() => rmSync(folder, { recursive: true, force: true }));

  /** The problem of one question to a server with this login shell, or this home. */
  async function problemOf(login: SshdOptions): Promise<{ message: string; next?: string }> {
    const server = await startSshd(login);
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

  function shell(name: string, text: string): SshdOptions {
    const shellPath = join(folder, name);
    writeFileSync(shellPath, `#!/bin/sh\n${text}\n`, { mode: 0o755 });
    return { shellPath };
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
      const { message, next } = await problemOf({ shellPath: path });
      assert.match(message, said);
      assert.match(next!, NEXT);
    });

  test('a forced command that greets and ends well is no answer either', async () => {
    const { message, next } = await problemOf(shell('greeter', 'echo one; echo two; echo three; echo four'));
    assert.match(message, /exit code 0: two \/ three \/ four$/);
    assert.match(next!, NEXT);
  });

  test('a shell that ends a quoted text with its line, as tcsh does: its complaint is the reason', async () => {
    // No tcsh is here to be asked: this one answers a command of several lines with its words and its exit code.
    const text = `case "$2" in *"\n"*) echo "Unmatched '''." >&2; exit 1 ;; esac\nexec sh -c "$2"`;
    const { message, next } = await problemOf(shell('like-tcsh', text));
    assert.match(message, /did not run our command, and ended with exit code 1: Unmatched '''\.$/);
    assert.match(next!, NEXT);
  });

  test('a .bashrc that goes on to another shell, as "exec zsh" does: that one cannot read our program', async () => {
    const home = mkdtempSync(join(folder, 'home-'));
    writeFileSync(join(home, '.bashrc'), 'exec sh\n');
    const { message, next } = await problemOf({ home, shellPath: '/bin/bash' });
    assert.match(message, /did not run our command, and ended with exit code 2: sh: /);
    assert.match(next!, NEXT);
  });

  test('a command that ran and failed is not blamed on the login', async () => {
    const { message, next } = await problemOf(shell('crash', 'echo; echo it broke >&2; exit 3'));
    assert.match(message, /ended with exit code 3: it broke/);
    assert.equal(next, undefined);
  });
});
