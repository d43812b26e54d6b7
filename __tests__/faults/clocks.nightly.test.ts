import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { runBundle } from '../servers/entry-points.js';
import type { RunResult } from '../servers/runner.js';
import { pushVersion, type Stage, withCheckout, withStage } from '../servers/stage.js';
import { stageInputs } from '../servers/stage-inputs.js';

const DAY = 86_400_000;

/** Code that runs before the bundle and sets the clock of its process off, as on a machine without NTP. */
const shiftedClock = (offset: number): string => `
  const Real = Date;
  globalThis.Date = class Date extends Real {
    constructor(...parts) { parts.length === 0 ? super(Real.now() + (${offset})) : super(...parts); }
    static now() { return Real.now() + (${offset}); }
  };
`;

const folder = mkdtempSync(join(tmpdir(), 'muva-clocks-'));
after(() => rmSync(folder, { recursive: true, force: true }));
before(() => {
  writeFileSync(join(folder, 'ahead.cjs'), shiftedClock(DAY));
  writeFileSync(join(folder, 'behind.cjs'), shiftedClock(-DAY));
});

function run(
  stage: Stage,
  clock: 'ahead' | 'behind',
  id: number,
  sha: string,
  inputs: Record<string, string> = {},
): Promise<RunResult> {
  const { databaseUrl, origin, sshd } = stage;
  return withCheckout(origin, sha, (workspace) =>
    runBundle({
      workspace,
      secrets: [databaseUrl, sshd.privateKey],
      env: {
        GITHUB_RUN_ID: String(id),
        GITHUB_SHA: sha,
        NODE_OPTIONS: `--require ${join(folder, `${clock}.cjs`)}`,
      },
      inputs: stageInputs(stage, { environment: 'staging', 'health-deadline': '10s', ...inputs }),
    }),
  );
}

test('row 61: a job whose clock is a day ahead, then one a day behind, decide the same as others', async () => {
  await withStage({}, async (stage) => {
    const v1 = stage.origin.head();
    const first = await run(stage, 'ahead', 1, v1);
    assert.equal(first.outputs.outcome, 'success', first.log);

    // To a clock that is compared, this run would be older than the one before it.
    const v2 = pushVersion(stage.origin, 'v2', 'examples/changes/v2');
    const second = await run(stage, 'behind', 2, v2);
    assert.equal(second.outputs.outcome, 'success', second.log);
    assert.equal((await stage.vps.served())?.commit, v2);

    const late = await run(stage, 'ahead', 1, v1);
    assert.notEqual(late.outputs['deployed-sha'], v1, late.log);
    assert.equal((await stage.vps.served())?.commit, v2, late.log);

    const back = await run(stage, 'ahead', 2, v2, { mode: 'rollback' });
    assert.equal(back.exitCode, 0, back.log);
    assert.equal(back.outputs.reverted, '["20250201000000"]', back.log);
    assert.equal((await stage.vps.served())?.commit, v1);
  });
});
