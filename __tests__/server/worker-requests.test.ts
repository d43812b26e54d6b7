import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { type InputName, withEnvironment } from '../../src/inputs/input-sources.js';
import { parseSettings } from '../../src/inputs/read.js';
import type { Run } from '../../src/inputs/settings.js';
import {
  deployRequest,
  inspectRequest,
  probeRequest,
  rollbackRequest,
  type VpsRun,
  withToken,
} from '../../src/server/worker-requests.js';
import { makeKeyPair } from '../servers/sshd.js';

const { private: privateKey } = makeKeyPair();

function settingsOf(inputs: Partial<Record<InputName, string>>, run: Partial<Run> = {}): VpsRun {
  const given: Partial<Record<InputName, string>> = {
    mode: 'redeploy',
    'ssh-host': 'a.example',
    'ssh-user': 'deployer',
    'ssh-private-key': privateKey,
    'ssh-fingerprint': `SHA256:${'a'.repeat(43)}`,
    'app-path': '/var/www/app',
    'app-name': 'app',
    ref: 'a'.repeat(40),
    ...inputs,
  };
  const parsed = parseSettings(
    withEnvironment((name) => given[name] ?? '', {}),
    {
      run: { id: '1', attempt: 1, serverUrl: 'https://github.com', fork: false, ...run },
      terminal: false,
      workspace: '/work',
      holdsMigrations: () => false,
    },
  );
  assert.deepEqual(parsed.problems, []);
  return parsed.settings as VpsRun;
}

test('the path of the public URL is passed on to where the application is asked on loopback', () => {
  const basePath = (url: string) => probeRequest(settingsOf({ 'health-url': url })).health.basePath;
  assert.equal(basePath('https://example.com/shop/'), '/shop');
  assert.equal(basePath('https://example.com/a/b'), '/a/b');
  assert.equal(basePath('https://example.com'), undefined);
  assert.equal(basePath('https://example.com/'), undefined);
  assert.equal(basePath(''), undefined);
});

test('requests are counted on the host, but for the mode that writes nothing there', () => {
  const counted = (mode: string) => probeRequest(settingsOf({ mode })).counted;
  assert.deepEqual([counted('health'), counted('redeploy')], [false, true]);
});

test('row 106: a look knows which environment file the run writes itself', () => {
  const writes = (inputs: Partial<Record<InputName, string>>) =>
    inspectRequest(settingsOf(inputs), undefined).writesEnvFile;
  assert.equal(writes({ 'env-file': 'A=1', 'env-file-path': '.env.production' }), '.env.production');
  assert.equal(writes({ 'env-file-path': '.env.production' }), undefined);
});

describe('the token of the job', () => {
  const sha = 'b'.repeat(40);
  const on = (serverUrl: string): VpsRun =>
    settingsOf({ 'github-token': 'ghs_canary' }, { repository: 'octocat/hotel', serverUrl });

  test('row 131: is in no request by itself, whatever is asked', () => {
    const run = on('https://github.com');
    const requests = [
      inspectRequest(run, sha),
      inspectRequest(run, undefined),
      inspectRequest(run, undefined, { undoRun: '1' }),
      probeRequest(run),
      deployRequest(run, { sha, invocation: 'x', cutover: 'at-once', goLease: 60_000, looksAtLive: false }),
      rollbackRequest(run, 'x', { undoRun: '1' }),
    ];
    for (const request of requests)
      assert.doesNotMatch(JSON.stringify(request), /ghs_canary/, request.command);
  });

  test('row 131: is added for a host that needs it, with the server that issued it', () => {
    for (const server of ['https://github.com', 'https://github.example.com'])
      assert.deepEqual(withToken(on(server)), { fetchAccess: { server, token: 'ghs_canary' } });
    assert.deepEqual(withToken(settingsOf({}, { repository: 'octocat/hotel' })), {});
    // From a terminal a token may be given, and no repository is known that it opens.
    assert.deepEqual(withToken(settingsOf({ 'github-token': 'ghs_canary' })), {});
  });

  test('row 131: a look for a commit says which server issued it, and one for nothing says nothing', () => {
    const run = on('https://github.example.com');
    assert.deepEqual(inspectRequest(run, sha).fetchAccess, { server: 'https://github.example.com' });
    assert.equal(inspectRequest(run, undefined).fetchAccess, undefined);
    assert.equal(inspectRequest(settingsOf({}, { repository: 'o/h' }), sha).fetchAccess, undefined);
  });
});
