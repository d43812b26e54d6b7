import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type InputName, withEnvironment } from '../../src/settings/inputs.js';
import { parseSettings } from '../../src/settings/parse.js';
import { inspectRequest, probeRequest, type VpsRun } from '../../src/vps/requests.js';
import { makeKeyPair } from '../servers/sshd.js';

const { private: privateKey } = makeKeyPair();

function settingsOf(inputs: Partial<Record<InputName, string>>): VpsRun {
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
      run: { id: '1', attempt: 1, serverUrl: 'https://github.com', fork: false },
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

test('row 106: a look knows which environment file the run writes itself', () => {
  const writes = (inputs: Partial<Record<InputName, string>>) =>
    inspectRequest(settingsOf(inputs), undefined).writesEnvFile;
  assert.equal(writes({ 'env-file': 'A=1', 'env-file-path': '.env.production' }), '.env.production');
  assert.equal(writes({ 'env-file-path': '.env.production' }), undefined);
});
