import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';

const dist = join(process.cwd(), 'dist');

/** The most that loading the bundle may add to an empty Node process before its first log line, in milliseconds. */
const BUDGET = 60;

describe('start-up', () => {
  const folder = mkdtempSync(join(tmpdir(), 'startup-'));
  before(() => writeFileSync(join(folder, 'empty.js'), 'process.stdout.write("x\\n");\n'));
  after(() => rmSync(folder, { recursive: true, force: true }));

  test(`the first log line comes within ${BUDGET} ms of an empty Node process`, async () => {
    const [empty, bundle]: [number[], number[]] = [[], []];
    // In turns, so that a change in the machine's speed meets both; the least of each is the one without a disturbance.
    for (let round = 0; round < 9; round++) {
      empty.push(await firstByte(join(folder, 'empty.js')));
      bundle.push(await firstByte(join(dist, 'index.js')));
    }
    const added = Math.min(...bundle) - Math.min(...empty);
    assert.ok(added <= BUDGET, `the bundle needs ${Math.round(added)} ms more than an empty process`);
  });

  /** Milliseconds from the spawn to the first byte on stdout. */
  async function firstByte(script: string): Promise<number> {
    const started = performance.now();
    const child = spawn(process.execPath, [script], {
      cwd: folder,
      env: { PATH: process.env.PATH, INPUT_MODE: 'plan' },
      stdio: ['ignore', 'pipe', 'ignore'],
    });
    await once(child.stdout, 'data');
    const took = performance.now() - started;
    child.stdout.resume();
    if (child.exitCode === null) await once(child, 'exit');
    return took;
  }
});
