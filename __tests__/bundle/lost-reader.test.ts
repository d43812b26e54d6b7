import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { freePort } from '../servers/free-port.js';

test('a runner that died while the action spoke: the work ends by itself, and its outputs are written', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'muva-reader-'));
  const outputs = join(folder, 'outputs');
  writeFileSync(outputs, '');
  try {
    const action = spawn(process.execPath, ['dist/index.js'], {
      env: {
        PATH: process.env.PATH,
        GITHUB_OUTPUT: outputs,
        RUNNER_TEMP: folder,
        INPUT_MODE: 'health',
        'INPUT_HEALTH-URL': `http://127.0.0.1:${await freePort()}`,
        'INPUT_HEALTH-DEADLINE': '1s',
      },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    action.stdout.destroy();
    action.stderr.destroy();
    // What spins for ever would be ended by this, and fail.
    const end = setTimeout(() => action.kill('SIGKILL'), 60_000);
    const [code] = await once(action, 'exit');
    clearTimeout(end);
    assert.equal(code, 1);
    const told = readFileSync(outputs, 'utf8');
    // The work itself came to its end: what failed is the health that was asked for, and nothing else.
    assert.match(told, /^failed-phase<<.*\nhealth$/m);
    const [report] = /^report<<.*\n(.*)$/m.exec(told)!.slice(1);
    assert.doesNotMatch(readFileSync(report!, 'utf8'), /EPIPE|unexpected/);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
});
