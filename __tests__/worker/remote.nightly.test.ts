/** How a host reaches the remote of its checkout: by itself over SSH or HTTPS, or with the job's token. */
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { appFiles, appVersion } from '../servers/fixture-app.js';
import { type GitHttps, startGitHttps } from '../servers/git-https.js';
import { type Origin, startOrigin } from '../servers/origin.js';
import { filesBelow, searchFor, watchArguments } from '../servers/secret-search.js';
import { type Sshd, startSshd } from '../servers/sshd.js';
import { startVps, type Vps } from '../servers/vps.js';
import { app, ask, deployRequest, inspectHost, refusalsOf, runWorker } from '../servers/worker.js';

const TOKEN = 'ghs_canaryOfTheJob0123456789';
const UNKNOWN = 'f'.repeat(40);

describe('a host with its own access', () => {
  let origin: Origin;
  let vps: Vps;
  let sshd: Sshd;
  let command: string;
  before(async () => {
    origin = startOrigin(appFiles('v1'));
    vps = await startVps(origin);
    sshd = await startSshd({
      environment: { GIT_CONFIG_COUNT: '1', GIT_CONFIG_KEY_0: 'safe.directory', GIT_CONFIG_VALUE_0: '*' },
    });
    const [key, known] = [join(vps.home, 'deploy_key'), join(vps.home, 'known')];
    writeFileSync(key, sshd.privateKey, { mode: 0o600 });
    writeFileSync(known, sshd.knownHosts);
    command = `ssh -F none -i ${key} -o IdentitiesOnly=yes -o UserKnownHostsFile=${known} -o StrictHostKeyChecking=yes`;
    const url = `ssh://${sshd.user}@${sshd.host}:${sshd.port}${origin.url}`;
    await git('remote', 'set-url', 'origin', url);
    await git('config', 'core.sshCommand', `'${command}'`);
  });
  after(async () => {
    await sshd?.stop();
    await vps?.stop();
    origin?.stop();
  });

  async function git(...words: string[]): Promise<void> {
    const { code, stderr } = await vps.run(`git ${words.join(' ')}`, vps.appPath);
    assert.equal(code, 0, stderr);
  }

  test('a deploy key that only core.sshCommand of the checkout names is used to look and to deploy', async () => {
    const middle = origin.commit(appVersion('v2'));
    const tip = origin.commit(appVersion('v3'));
    for (const sha of [tip, middle]) {
      const facts = await inspectHost(vps, { sha });
      assert.deepEqual([facts.shaOnRemote, refusalsOf(facts)], [true, []], sha);
    }
    assert.notEqual((await vps.run(`git cat-file -e ${tip}`, vps.appPath)).code, 0, 'a look leaves nothing');
    const { result } = await runWorker(vps, deployRequest(vps, tip));
    assert.equal(result.outcome, 'deployed', JSON.stringify(result));
  });

  test('row 98: a commit that the remote does not have is refused by the look', async () => {
    const facts = await inspectHost(vps, { sha: UNKNOWN });
    assert.equal(facts.shaOnRemote, false);
    assert.match(refusalsOf(facts)[0]?.message ?? '', /f{40} is not on the remote/);
  });

  test('GIT_SSH_COMMAND of the host is left to it', async () => {
    await git('config', '--unset', 'core.sshCommand');
    const sha = origin.commit(appVersion('v4'));
    const without = await inspectHost(vps, { sha });
    assert.match(refusalsOf(without)[0]?.message ?? '', /cannot fetch from its remote/);
    vps.env.GIT_SSH_COMMAND = command;
    assert.deepEqual(refusalsOf(await inspectHost(vps, { sha })), []);
    delete vps.env.GIT_SSH_COMMAND;
    await git('config', 'core.sshCommand', `'${command}'`);
  });

  test('a checkout that becomes releases takes its deploy key along', async () => {
    const sha = origin.commit(appVersion('v5'));
    const { result } = await runWorker(
      vps,
      deployRequest(vps, sha, { app: app(vps, { strategy: 'adopt' }) }),
    );
    assert.equal(result.outcome, 'deployed', JSON.stringify(result));
    const next = origin.commit(appVersion('v6'));
    const { result: second } = await runWorker(vps, deployRequest(vps, next));
    assert.equal(second.outcome, 'deployed', JSON.stringify(second));
  });
});

describe('a private repository over HTTPS, and a host without access of its own', () => {
  let origin: Origin;
  let vps: Vps;
  let remote: GitHttps;
  before(async () => {
    origin = startOrigin(appFiles('v1'));
    vps = await startVps(origin);
    remote = await startGitHttps(origin.url, TOKEN);
    const trusted = join(vps.home, 'ca.pem');
    writeFileSync(trusted, remote.cert);
    vps.env.GIT_SSL_CAINFO = trusted;
    await vps.run(`git remote set-url origin ${remote.url}`, vps.appPath);
  });
  after(async () => {
    await remote?.stop();
    await vps?.stop();
    origin?.stop();
  });

  test('without the token the look refuses, with what to do', async () => {
    const facts = await inspectHost(vps, { sha: origin.commit(appVersion('v2')) });
    assert.match(refusalsOf(facts)[0]?.message ?? '', /cannot fetch from its remote/);
    assert.match(refusalsOf(facts)[0]?.next ?? '', /deploy key/);
  });

  test('row 131: a look without the token says that it needs it, and nothing else', async () => {
    const request = {
      explicit: false,
      rehearse: true,
      dirtyCheckout: 'refuse',
      envFilePath: '.env.local',
    } as const;
    const [line] = await ask(vps, {
      ...request,
      command: 'inspect',
      app: app(vps),
      run: { id: '1', attempt: 1 },
      sha: origin.head(),
      fetchAccess: { server: remote.server },
    });
    assert.deepEqual(line, { kind: 'token-needed' });
  });

  test('row 131: the token of the job opens it for the one fetch, and is left nowhere', async () => {
    const fetchAccess = { server: remote.server, token: TOKEN };
    const sha = origin.head();
    assert.deepEqual(refusalsOf(await inspectHost(vps, { sha, fetchAccess })), []);
    const watched = watchArguments(vps.root);
    const { result, events } = await runWorker(vps, deployRequest(vps, sha, { fetchAccess }));
    const seen = watched.stop();
    assert.equal(result.outcome, 'deployed', JSON.stringify(result));
    assert.ok(
      seen.some((line) => line.includes('remote-https') || line.includes(' fetch ')),
      'git was seen',
    );
    const { in: hitsIn } = searchFor({ token: TOKEN, header: `x-access-token:${TOKEN}` });
    assert.deepEqual(hitsIn(seen.join('\n'), 'arguments'), []);
    assert.deepEqual(hitsIn(JSON.stringify(events), 'events'), []);
    for (const { path, text } of filesBelow(vps.root)) assert.deepEqual(hitsIn(text, path), []);
  });

  test('a token that the remote refuses is told as a missing access, without the token', async () => {
    const fetchAccess = { server: remote.server, token: 'ghs_wrong0123456789' };
    const facts = await inspectHost(vps, { sha: origin.commit(appVersion('v3')), fetchAccess });
    assert.match(refusalsOf(facts)[0]?.message ?? '', /cannot fetch from its remote/);
    assert.doesNotMatch(JSON.stringify(facts), /ghs_wrong/);
  });

  test('row 131: a remote on another server than the one that issued the token is not shown it', async () => {
    const before = remote.logins.length;
    const fetchAccess = { server: 'https://github.com', token: TOKEN };
    const facts = await inspectHost(vps, { sha: origin.head(), fetchAccess });
    assert.match(refusalsOf(facts)[0]?.message ?? '', /cannot fetch from its remote/);
    assert.equal(remote.logins.length, before);
  });

  test('a host whose checkout has no origin fetches from the repository of the job', async () => {
    await vps.run('git remote remove origin', vps.appPath);
    const fetchAccess = { server: remote.server, token: TOKEN };
    const sha = origin.head();
    const more = { fetchAccess, jobRepositoryUrl: remote.url };
    assert.deepEqual(refusalsOf(await inspectHost(vps, { sha, ...more })), []);
    const { result } = await runWorker(vps, deployRequest(vps, sha, more));
    assert.equal(result.outcome, 'deployed', JSON.stringify(result));
  });
});
