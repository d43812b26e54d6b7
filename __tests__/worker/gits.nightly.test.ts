/** The git that servers have: an old one, one that speaks another language, one without git-lfs, builds that ask it for tags. */
import assert from 'node:assert/strict';
import { chmodSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { appFiles, appVersion } from '../servers/fixture-app.js';
import { startGitHttps } from '../servers/git-https.js';
import type { Origin } from '../servers/origin.js';
import { type Vps, withVps } from '../servers/vps.js';
import { app, deployRequest, inspectHost, refusalsOf, runWorker } from '../servers/worker.js';

/** What git has learnt after 2.25, as far as anything here could use it; the last are of one command only. */
const YOUNGER = [
  '--no-write-fetch-head',
  '--end-of-options',
  '--pathspec-from-file*',
  '--initial-branch*',
  '--attr-source*',
];
const YOUNGER_OF_FETCH = ['--stdin', '--atomic', '--refetch', '--porcelain', '--negotiate-only'];

/** Puts a git in front that says it is of this version, refuses what is younger than 2.25, and leaves the rest to the real one. */
function pretendGit(vps: Vps, version: string): void {
  const script = `#!/bin/sh
if [ "$*" = --version ]; then echo 'git version ${version}'; exit; fi
command=
for word; do
  case $word in
    ${YOUNGER.join(' | ')}) echo "error: unknown option \\\`$word'" >&2; exit 129 ;;
    fetch) command=fetch ;;
    ${YOUNGER_OF_FETCH.join(' | ')}) if [ "$command" = fetch ]; then echo "error: unknown option \\\`$word'" >&2; exit 129; fi ;;
  esac
done
# It does not know these.
unset GIT_CONFIG_COUNT GIT_CONFIG_KEY_0 GIT_CONFIG_VALUE_0
exec /usr/bin/env PATH=/usr/local/bin:/usr/bin:/bin git "$@"
`;
  const path = join(vps.root, 'bin/git');
  writeFileSync(path, script);
  chmodSync(path, 0o755);
}

async function deploys(vps: Vps, sha: string, more: Parameters<typeof deployRequest>[2] = {}): Promise<void> {
  const { result } = await runWorker(vps, deployRequest(vps, sha, more));
  assert.equal(result.outcome, 'deployed', JSON.stringify(result));
}

describe('git of Ubuntu 20.04', () => {
  test('row 171: a deploy in place and one among releases do without what is younger, and the version is told', () =>
    withVps({}, async (vps, origin) => {
      pretendGit(vps, '2.25.1');
      const sha = origin.commit(appVersion('v2'));
      const facts = await inspectHost(vps, { sha });
      assert.deepEqual([facts.git, refusalsOf(facts)], ['2.25.1', []]);
      const load = vps.load(20);
      await deploys(vps, sha);
      const next = origin.commit(appVersion('v3'));
      await deploys(vps, next, { app: app(vps, { strategy: 'adopt' }) });
      await deploys(vps, origin.commit(appVersion('v4')));
      const { failed, failures } = await load.stop();
      assert.deepEqual([failed, failures, (await vps.served())?.version], [0, [], 'v4']);
    }));

  test('row 171: the token of the job opens a private repository', () =>
    withVps({}, async (vps, origin) => {
      const token = 'ghs_canaryOfTheJob0123456789';
      const remote = await startGitHttps(origin.url, token);
      try {
        writeFileSync(join(vps.home, 'ca.pem'), remote.cert);
        vps.env.GIT_SSL_CAINFO = join(vps.home, 'ca.pem');
        await vps.run(`git remote set-url origin ${remote.url}`, vps.appPath);
        pretendGit(vps, '2.25.1');
        const sha = origin.commit(appVersion('v2'));
        const fetchAccess = { server: remote.server, token };
        assert.deepEqual(refusalsOf(await inspectHost(vps, { sha, fetchAccess })), []);
        await deploys(vps, sha, { fetchAccess });
      } finally {
        await remote.stop();
      }
    }));

  test('row 171: an older one is refused by the look', () =>
    withVps({}, async (vps, origin) => {
      pretendGit(vps, '2.17.1');
      const said = refusalsOf(await inspectHost(vps, { sha: origin.commit(appVersion('v2')) }));
      assert.match(
        said.map(({ message }) => message).join(),
        /git 2\.17\.1 on the server is older than 2\.25/,
      );
    }));
});

describe('git in another language', () => {
  for (const language of ['de', 'es'])
    test(`row 171: in ${language}, a deploy works, and what git complains of is understood`, () =>
      withVps({}, async (vps, origin) => {
        Object.assign(vps.env, { LANG: 'C.UTF-8', LANGUAGE: language });
        const said = await vps.run('git rev-parse no-such-name', vps.appPath);
        assert.doesNotMatch(said.stderr, /unknown revision/, 'git speaks the language');
        const missing = await inspectHost(vps, { sha: 'f'.repeat(40) });
        assert.match(refusalsOf(missing)[0]?.message ?? '', /is not on the remote/);
        await deploys(vps, origin.commit(appVersion('v2')));
        // A checkout of another user, as git sees it; trusted by nobody.
        vps.env.GIT_TEST_ASSUME_DIFFERENT_OWNER = '1';
        writeFileSync(join(vps.home, '.gitconfig'), '');
        const foreign = refusalsOf(await inspectHost(vps, { sha: origin.head() }));
        assert.match(foreign.map(({ message }) => message).join(), /because another user owns it/);
      }));
});

describe('Git LFS', () => {
  const pointer = 'version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 3\n';
  const withLfs = {
    '.gitattributes': '*.bin filter=lfs diff=lfs merge=lfs -text\n',
    'public/photo.bin': pointer,
  };

  test('row 171: without git-lfs a commit that has files in it is refused by the look, and by the deploy before it builds', () =>
    withVps({}, async (vps, origin) => {
      const sha = origin.commit({ ...appVersion('v2'), ...withLfs });
      const known = refusalsOf(await inspectHost(vps, { sha, lfs: true }));
      assert.match(
        known[0]?.message ?? '',
        /keeps files in Git LFS, and git-lfs is not set up on the server/,
      );
      assert.match(known[0]?.next ?? '', /git lfs install/);
      const { result, steps } = await runWorker(vps, deployRequest(vps, sha));
      assert.equal(result.outcome, 'failed');
      assert.match(
        result.problems[0]!.message,
        /Git LFS, and git-lfs is not set up on the server: public\/photo\.bin/,
      );
      assert.ok(!steps.some((step) => step.includes('install') || step.includes('build')), steps.join());
      assert.equal((await vps.served())?.version, 'v1');
    }));

  test('row 171: what is live says what to expect where nothing is known of the commit', () =>
    withVps(
      {},
      async (vps, origin) => {
        const sha = origin.commit(appVersion('v2'));
        assert.match(refusalsOf(await inspectHost(vps, { sha }))[0]?.message ?? '', /Git LFS/);
        assert.deepEqual(refusalsOf(await inspectHost(vps, { sha, lfs: false })), []);
      },
      { ...appFiles('v1'), ...withLfs },
    ));

  test('row 171: with its filter set up the files themselves go live; where that leaves pointers, nothing does', () =>
    withVps({}, async (vps, origin) => {
      // In place of git-lfs: what git calls as a filter, and what comes of a pointer.
      await vps.run('git config --global filter.lfs.smudge "cat >/dev/null; echo photo"');
      await vps.run('git config --global filter.lfs.clean cat');
      const sha = origin.commit({ ...appVersion('v2'), ...withLfs });
      assert.deepEqual(refusalsOf(await inspectHost(vps, { sha, lfs: true })), []);
      await deploys(vps, sha);
      assert.equal(readFileSync(join(vps.appPath, 'public/photo.bin'), 'utf8'), 'photo\n');
      await vps.run('git config --global filter.lfs.smudge cat');
      const next = origin.commit({ ...appVersion('v3'), 'public/second.bin': pointer });
      const { result } = await runWorker(vps, deployRequest(vps, next));
      assert.match(
        result.problems[0]?.message ?? '',
        /left pointers in place of files: .*public\/second\.bin/,
      );
      assert.equal((await vps.served())?.version, 'v2');
    }));
});

describe('a build that calls git describe --tags', () => {
  const described = (vps: Vps): string => readFileSync(join(vps.appPath, 'dist/described'), 'utf8').trim();
  const buildCommand = 'pnpm build && git describe --tags > dist/described';
  const tagged = (origin: Origin, version: string): string => {
    const sha = origin.commit(appVersion(version));
    origin.git('tag', '-a', '-m', version, version);
    origin.git('push', '-q', 'origin', version);
    return sha;
  };

  test('row 171: finds the tags of the remote, in place and among releases, and moves none that people have', () =>
    withVps({}, async (vps, origin) => {
      await vps.run('git tag -m mine moved', vps.appPath);
      origin.git('tag', 'moved');
      origin.git('push', '-q', 'origin', 'moved');
      const moved = (await vps.run('git rev-parse moved', vps.appPath)).stdout;
      const sha = tagged(origin, 'v2.0.0');
      await deploys(vps, sha, { buildCommand });
      assert.equal(described(vps), 'v2.0.0');
      assert.equal((await vps.run('git rev-parse moved', vps.appPath)).stdout, moved);
      await deploys(vps, tagged(origin, 'v3.0.0'), { buildCommand, app: app(vps, { strategy: 'adopt' }) });
      assert.equal(described(vps), 'v3.0.0');
      await deploys(vps, origin.commit(appVersion('v4')), { buildCommand });
      assert.match(described(vps), /^v3\.0\.0-1-g[0-9a-f]{7}/);
    }));
});
