import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { after, afterEach, before, beforeEach, describe, test } from 'node:test';
import { parse } from 'yaml';
import { GIT_ENV, type Origin, startOrigin } from '../servers/origin.js';

interface Job {
  needs?: string;
  permissions?: Record<string, string>;
  env?: Record<string, string>;
  environment?: string;
  steps: { uses?: string; run?: string; env?: Record<string, string>; with?: Record<string, string> }[];
}

describe('the release workflow', () => {
  const text = readFileSync('.github/workflows/release.yml', 'utf8');
  const workflow = parse(text, { schema: 'failsafe' }) as {
    permissions: Record<string, string>;
    env?: Record<string, string>;
    jobs: Record<string, Job>;
  };
  const jobs = Object.entries(workflow.jobs);

  test('only its last job may write, and waits for the rules of an Environment', () => {
    assert.deepEqual(workflow.permissions, { contents: 'read' });
    const writing = jobs.filter(([, { permissions }]) => permissions !== undefined);
    assert.deepEqual(
      writing.map(([name]) => name),
      ['publish'],
    );
    const { publish } = workflow.jobs;
    assert.equal(publish!.environment, 'release');
    assert.deepEqual(publish!.permissions, {
      contents: 'write',
      'id-token': 'write',
      attestations: 'write',
    });
    const order = ['publish', 'build', 'test', 'check'];
    for (const [index, name] of order.entries()) assert.equal(workflow.jobs[name]!.needs, order[index + 1]);
  });

  test('that job installs and builds nothing, and one step of it has the token', () => {
    const { publish } = workflow.jobs;
    for (const { run, uses } of publish!.steps) {
      assert.doesNotMatch(run ?? '', /\b(npm|npx|node|pnpm|yarn|pip|curl|wget|apt-get)\b/);
      assert.doesNotMatch(uses ?? '', /setup-/);
    }
    assert.equal(text.split('github.token').length - 1, 1);
    assert.doesNotMatch(text, /secrets\./);
    const withToken = publish!.steps.filter(({ env }) => env?.GH_TOKEN !== undefined);
    assert.deepEqual(
      withToken.map(({ run }) => run),
      ['.ci/publish "$TAG"'],
    );
    for (const [name, { env, steps }] of jobs) {
      assert.equal(env, undefined, name);
      for (const { uses, with: given } of steps)
        if (uses?.startsWith('actions/checkout@'))
          assert.equal(given?.['persist-credentials'], 'false', name);
    }
  });
});

describe('what may be released', () => {
  let origin: Origin;
  let checkout: string;
  let bin: string;
  const git = (...words: string[]): string => origin.git('-C', checkout, ...words);
  before(() => {
    bin = mkdtempSync(join(tmpdir(), 'muva-gh-'));
    // In place of GitHub's program: it says what it was asked, and that there is nothing yet.
    const gh =
      '#!/bin/sh\ncase "$*" in "release view "* | *"/git/ref/tags/"*) exit 1 ;; esac\necho "gh $*"\n';
    writeFileSync(join(bin, 'gh'), gh, { mode: 0o755 });
  });
  after(() => rmSync(bin, { recursive: true, force: true }));
  beforeEach(() => {
    origin = startOrigin({
      'package.json': '{ "version": "1.2.3" }',
      'CHANGELOG.md': '# Changes\n\n## 1.2.3\n\n- Better\n\n## 1.2.2\n\n- Good\n',
      '.gitignore': 'build/\n',
    });
    checkout = mkdtempSync(join(tmpdir(), 'muva-release-'));
    origin.git('clone', '-q', origin.url, checkout);
    cpSync('.ci', join(checkout, '.ci'), { recursive: true });
    git('add', '-A');
    git('commit', '-q', '-m', 'Scripts');
    git('push', '-q', 'origin', 'main');
    const release = join(checkout, 'build/release');
    mkdirSync(release, { recursive: true });
    writeFileSync(join(release, 'muva-deploy.tgz'), 'x');
    writeFileSync(join(checkout, 'build/release-notes.md'), '- Better\n');
    spawnSync('sh', ['-c', 'sha256sum muva-deploy.tgz > SHA256SUMS'], { cwd: release });
  });
  afterEach(() => {
    origin.stop();
    rmSync(checkout, { recursive: true, force: true });
  });

  function ran(...words: string[]): { code: number | null; said: string } {
    const env = {
      ...process.env,
      ...GIT_ENV,
      PATH: `${bin}${delimiter}${process.env.PATH}`,
      GITHUB_REPOSITORY: 'o/r',
    };
    const { status, stdout, stderr } = spawnSync(words[0]!, words.slice(1), {
      cwd: checkout,
      env,
      encoding: 'utf8',
    });
    return { code: status, said: stdout + stderr };
  }
  const check = (tag = 'v1.2.3'): ReturnType<typeof ran> => ran('.ci/release', '--check', tag);

  test('a commit of main, whose tag is at it or not there yet', () => {
    assert.deepEqual(check(), { code: 0, said: '' });
    git('tag', '-a', '-m', 'Release', 'v1.2.3');
    assert.deepEqual(check(), { code: 0, said: '' });
    const { code, said } = ran('.ci/publish', 'v1.2.3');
    assert.equal(code, 0, said);
    assert.match(said, /^gh release create v1\.2\.3 .*--verify-tag --latest=true/m);
    assert.match(
      said,
      new RegExp(`^gh api repos/o/r/git/refs -f ref=refs/tags/v1 -f sha=${git('rev-parse', 'HEAD')}$`, 'm'),
    );
  });

  test('not a commit that is not on main, or not known to be: nothing is asked of GitHub', () => {
    git('checkout', '-q', '-b', 'aside');
    git('commit', '-q', '--allow-empty', '-m', 'Not merged');
    git('tag', 'v1.2.3');
    git('push', '-q', 'origin', 'aside', 'v1.2.3');
    const refused = (): void => {
      assert.match(check().said, /[0-9a-f]{7} is not on main/);
      const published = ran('.ci/publish', 'v1.2.3');
      assert.notEqual(published.code, 0);
      assert.doesNotMatch(published.said, /^gh /m);
    };
    refused();
    git('update-ref', '-d', 'refs/remotes/origin/main');
    refused();
  });

  test('not where the tag has been moved away from what was built', () => {
    git('tag', 'v1.2.3', 'HEAD~1');
    const { code, said } = ran('.ci/publish', 'v1.2.3');
    assert.notEqual(code, 0);
    assert.match(said, /the tag v1\.2\.3 is at another commit/);
    assert.doesNotMatch(said, /^gh /m);
  });

  test('not where what another job has built arrived changed', () => {
    writeFileSync(join(checkout, 'build/release/muva-deploy.tgz'), 'y');
    const { code, said } = ran('.ci/publish', 'v1.2.3');
    assert.notEqual(code, 0);
    assert.doesNotMatch(said, /^gh /m);
  });

  test('not with another version, with changes, or without notes', () => {
    assert.match(check('v1.2.4').said, /package\.json says 1\.2\.3, and the tag says 1\.2\.4/);
    assert.match(check('v1.2').said, /is not a version such as/);
    writeFileSync(join(checkout, 'CHANGELOG.md'), '## 1.2.3\n\n## 1.2.2\n');
    assert.match(check().said, /changes that are not committed/);
    git('commit', '-qam', 'No notes');
    git('push', '-q', 'origin', 'main');
    assert.match(check().said, /CHANGELOG\.md has no part for 1\.2\.3/);
    assert.ok(existsSync(join(checkout, 'build/release')), 'a check leaves what was built');
  });
});
