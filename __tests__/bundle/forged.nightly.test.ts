/** A build that forges the record of its run, seen from the job: the whole action as bundled. */
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { runBundle } from '../servers/entry-points.js';
import { forgingBuild } from '../servers/hostile-build.js';
import { withCheckout, withStage } from '../servers/stage.js';
import { stageInputs } from '../servers/stage-inputs.js';

test(
  'row 145: a build that forges events and prints commands sets no output and no state of the job, and masks nothing',
  { timeout: 300_000 },
  () =>
    withStage({ postgres: 15 }, async (stage) => {
      const { origin, vps } = stage;
      const sha = origin.head();
      const script = join(vps.root, 'hostile.js');
      writeFileSync(script, forgingBuild(join(vps.appPath, '../.app.deploy/runs')));
      const result = await withCheckout(origin, sha, (workspace) =>
        runBundle({
          workspace,
          token: 'ghs_notUsed0123456789',
          env: { GITHUB_RUN_ID: '7', GITHUB_SHA: sha, ACTIONS_STEP_DEBUG: 'true' },
          inputs: stageInputs(stage, { 'build-command': `node ${script} && pnpm build` }),
        }),
      );
      assert.match(result.log, /the record was forged/, 'the build did its work');
      assert.equal(result.outputs.outcome, 'success', result.log);
      assert.equal(result.outputs['deployed-sha'], sha);
      assert.doesNotMatch(JSON.stringify(result.outputs), /forged/);
      assert.deepEqual(Object.keys(result.state).sort(), ['begun', 'final', 'session']);
      assert.equal(result.state.final, 'success');
      assert.deepEqual(
        result.annotations.filter(({ level }) => level === 'error'),
        [],
      );
      assert.ok(result.annotations.some(({ message }) => /another program than the worker/.test(message)));
      assert.doesNotMatch(result.rawSummary, /forged/);
      assert.match(
        result.log,
        /# #\[set-output name=outcome\]forged/,
        'what it printed itself is shown, inert',
      );
    }),
);
