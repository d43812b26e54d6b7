import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { test } from 'node:test';
import { RUN_NODE } from '../../src/server/worker-command.js';

test('the shell text is clean for shellcheck, inside and around', () => {
  const inside = RUN_NODE.slice("sh -c '".length, -1);
  for (const [shell, text] of [
    ['sh', inside],
    ['bash', RUN_NODE],
  ] as const) {
    const { status, stdout, error } = spawnSync('shellcheck', ['-s', shell, '-'], {
      input: `#!/bin/sh\n${text}\n`,
      encoding: 'utf8',
    });
    assert.equal(error, undefined);
    assert.equal(status, 0, stdout);
  }
});
