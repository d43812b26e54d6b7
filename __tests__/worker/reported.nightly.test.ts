import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { appVersion } from '../servers/fixture-app.js';
import { withVps } from '../servers/vps.js';
import { deployRequest, runWorker } from '../servers/worker.js';

describe('what is only told or tidied decides nothing', () => {
  test('row 137: a packed build that cannot be deleted leaves a good deploy good', () =>
    withVps({}, async (vps, origin) => {
      const made = join(vps.root, 'made');
      const packed = join(vps.root, 'packed.tgz');
      mkdirSync(made);
      for (const name of ['dist', 'node_modules'])
        if (existsSync(join(vps.appPath, name)))
          cpSync(join(vps.appPath, name), join(made, name), { recursive: true });
      writeFileSync(join(made, 'dist/build.json'), JSON.stringify({ version: 'v2', greeting: 'none' }));
      execFileSync('tar', ['-czf', packed, '-C', made, '.']);
      // What something is mounted on is busy: nobody can delete it.
      execFileSync('mount', ['--bind', packed, packed]);
      try {
        const request = deployRequest(vps, origin.commit(appVersion('v2', { missingChunk: false })), {
          packedBuild: packed,
          health: { ...deployRequest(vps, '').health, checkAssets: false },
        });
        const { result } = await runWorker(vps, request);
        assert.equal(result.outcome, 'deployed', JSON.stringify(result));
        assert.match(JSON.stringify(result.warnings), /packed build could not be deleted.*EBUSY/);
        assert.equal((await vps.served())?.version, 'v2');
      } finally {
        execFileSync('umount', [packed]);
      }
    }));
});
