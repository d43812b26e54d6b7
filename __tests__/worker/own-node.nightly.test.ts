import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { processEnvironment } from '../../src/worker/host/processes.js';
import { appFiles, appVersion } from '../servers/fixture-app.js';
import { withVps } from '../servers/vps.js';
import { deployRequest, runWorker } from '../servers/worker.js';

let folder: string;
before(() => {
  folder = mkdtempSync(join(tmpdir(), 'muva-own-node-'));
});
after(() => rmSync(folder, { recursive: true, force: true }));

test('an entry with a Node of its own (interpreter): built, rehearsed and live with that', async () => {
  const interpreter = join(folder, 'node');
  writeFileSync(interpreter, `#!/bin/sh\nOWN_NODE=yes exec '${process.execPath}' "$@"\n`, { mode: 0o755 });
  await withVps({ mode: 'fork', entry: { interpreter } }, async (vps, origin) => {
    const files = appFiles('v2');
    const rehearsed = join(folder, 'rehearsed-by');
    const sha = origin.commit({
      ...appVersion('v2'),
      'build.js': `${files['build.js']}\nwriteFileSync('dist/built-by', process.env.OWN_NODE ?? 'another');\n`,
      'server.js': `${files['server.js']}\nif (!live) require('node:fs').writeFileSync('${rehearsed}', process.env.OWN_NODE ?? 'another');\n`,
    });
    const { result } = await runWorker(vps, deployRequest(vps, sha));
    assert.equal(result.outcome, 'deployed', JSON.stringify(result));
    assert.equal(readFileSync(join(vps.appPath, 'dist/built-by'), 'utf8'), 'yes');
    assert.equal(readFileSync(rehearsed, 'utf8'), 'yes');
    assert.equal(processEnvironment((await vps.served())!.pid)?.OWN_NODE, 'yes');
  });
});
