/** Which servers are sent the job's token, and with what: everything that reaches a server over SSH is written down. */
import assert from 'node:assert/strict';
import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import type { Settings } from '../../src/inputs/settings.js';
import type { PhaseReport } from '../../src/lib/report.js';
import { redeploy } from '../../src/pipeline/redeploy.js';
import { makeReachable, type Reachable, settingsFor, withTools } from '../servers/deployment.js';
import { appFiles, appVersion } from '../servers/fixture-app.js';
import { type GitHttps, startGitHttps } from '../servers/git-https.js';
import { type Origin, startOrigin } from '../servers/origin.js';
import { startVps } from '../servers/vps.js';

const TOKEN = 'ghs_canaryOfTheJob0123456789';

describe('the token of the job', () => {
  let origin: Origin;
  let remote: GitHttps;
  let server: Reachable;
  let record: string;
  before(async () => {
    origin = startOrigin(appFiles('v1'));
    const vps = await startVps(origin);
    remote = await startGitHttps(origin.url, TOKEN);
    const trusted = join(vps.home, 'ca.pem');
    writeFileSync(trusted, remote.cert);
    record = join(vps.root, 'sent');
    const shellPath = join(vps.root, 'recording-shell');
    writeFileSync(shellPath, `#!/bin/sh\ntee -a '${record}' | exec /bin/sh "$@"\n`, { mode: 0o755 });
    const environment = { ...vps.env, SHELL: shellPath, GIT_SSL_CAINFO: trusted };
    server = await makeReachable(vps, { shellPath, environment });
  });
  after(async () => {
    await remote?.stop();
    await server?.stop();
    origin?.stop();
  });

  /** Deploys as a job of the repository does; what was sent to the server meanwhile. */
  async function deployed(version: string): Promise<{ report: PhaseReport; sent: string }> {
    rmSync(record, { force: true });
    const own = settingsFor([server], { ref: origin.commit(appVersion(version)), 'github-token': TOKEN });
    const run = { ...own.run, repository: 'octocat/hotel', serverUrl: remote.server };
    const settings: Settings = { ...own, run };
    const report = await withTools(settings, ({ servers }) => redeploy(servers));
    return { report, sent: existsSync(record) ? readFileSync(record, 'utf8') : '' };
  }

  test('row 131: a server with its own access is never sent it', async () => {
    const { report, sent } = await deployed('v2');
    assert.deepEqual(report.problems, []);
    assert.equal((await server.vps.served())?.version, 'v2');
    assert.ok(sent.includes('"command":"inspect"'), 'what was sent is written down');
    assert.ok(!sent.includes(TOKEN));
  });

  test('row 131: one without is sent it when it has said so, for its second look and the deploy alone', async () => {
    await server.vps.run(`git remote set-url origin ${remote.url}`, server.vps.appPath);
    const { report, sent } = await deployed('v3');
    assert.deepEqual(report.problems, []);
    assert.equal((await server.vps.served())?.version, 'v3');
    const looks = sent.split('"command":"inspect"').slice(1);
    assert.equal(looks.length, 2);
    assert.ok(!looks[0]!.includes(TOKEN));
    assert.equal(sent.split(TOKEN).length - 1, 2);
  });
});
