import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { mayBeSettings } from '../../src/worker/build/missing-files.js';
import { appFiles, appVersion } from '../servers/fixture-app.js';
import { withVps } from '../servers/vps.js';
import { deployRequest, runWorker } from '../servers/worker.js';

test('files that the application writes are no settings', () => {
  const paths = ['key.json', 'config/app.env', '.npmrc', 'app.log', 'data.sqlite', 'uploads/2024/a.png'];
  assert.deepEqual(mayBeSettings(paths), ['key.json', 'config/app.env', '.npmrc']);
});

test('a build that misses a key of the server is told by its name, and has it by shared-paths', () =>
  withVps({}, async (vps, origin) => {
    writeFileSync(join(vps.appPath, 'serviceAccountKey.json'), '{}');
    const sha = origin.commit({
      ...appVersion('v2'),
      '.gitignore': 'node_modules\ndist\n.env*\nREVISION\nserviceAccountKey.json\n',
      'build.js': `require('./serviceAccountKey.json');\n${appFiles('v2')['build.js']}`,
    });
    const load = vps.load(20);
    const without = await runWorker(vps, deployRequest(vps, sha));
    assert.equal(without.result.outcome, 'failed', JSON.stringify(without.result));
    assert.match(
      JSON.stringify(without.result.problems),
      /in no commit.*: serviceAccountKey\.json\..*shared-paths/,
    );
    const shared = { sharedPaths: ['serviceAccountKey.json'] };
    const { result } = await runWorker(vps, deployRequest(vps, sha, shared));
    const { failed, failures } = await load.stop();
    assert.equal(result.outcome, 'deployed', JSON.stringify(result, null, 1));
    assert.deepEqual([failed, failures], [0, []]);
  }));
