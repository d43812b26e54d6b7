import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { type InputName, inputRule } from '../../../src/inputs/input-sources.js';
import { parseSettings } from '../../../src/inputs/read.js';
import type { Run, Settings } from '../../../src/inputs/settings.js';
import { isSameRepository, judgeProvenance } from '../../../src/server/checkout/provenance.js';
import { type Origin, startOrigin } from '../../servers/origin.js';

type Inputs = Partial<Record<InputName, string>>;

describe('whose a commit is', () => {
  let origin: Origin;
  let folder: string;
  let merged: string;
  let foreign: string;
  let clones = 0;
  before(() => {
    folder = mkdtempSync(join(tmpdir(), 'muva-own-'));
    origin = startOrigin({ a: '1' });
    merged = origin.commit({ a: '2' });
    origin.commit({ a: '3' });
    // What GitHub keeps of a pull request from a fork: no branch, and fetched by whoever asks for its SHA.
    const [head, tree] = [origin.head(), origin.git('rev-parse', 'HEAD^{tree}')];
    foreign = origin.git('commit-tree', tree, '-p', head, '-m', 'From a fork');
    origin.git('push', '-q', 'origin', `${foreign}:refs/pull/7/head`);
  });
  after(() => {
    origin?.stop();
    rmSync(folder, { recursive: true, force: true });
  });

  /** A checkout as actions/checkout makes it; `depth` 0 brings all branches and tags. */
  function checkout(what: string, depth: 0 | 1): string {
    const path = join(folder, `clone-${++clones}`);
    const git = (...words: string[]): string => origin.git('-C', path, ...words);
    origin.git('init', '-q', path);
    git('remote', 'add', 'origin', `file://${origin.url}`);
    const all = ['+refs/heads/*:refs/remotes/origin/*', '+refs/tags/*:refs/tags/*'];
    const ref = what.startsWith('refs/pull/')
      ? `+${what}:refs/remotes/${what.slice(5)}`
      : `+${what}:refs/remotes/origin/${what}`;
    git(
      'fetch',
      '-q',
      ...(depth === 0 ? all.slice(0, 0) : ['--depth=1']),
      'origin',
      ref,
      ...(depth === 0 ? all : []),
    );
    git(
      'checkout',
      '-q',
      '--detach',
      what.startsWith('refs/pull/') ? `refs/remotes/${what.slice(5)}` : `refs/remotes/origin/${what}`,
    );
    return path;
  }

  const SERVER: Inputs = {
    'ssh-host': 'a.example',
    'ssh-user': 'deployer',
    'ssh-private-key': 'key',
    'ssh-fingerprint': `SHA256:${'a'.repeat(43)}`,
    'app-path': '/var/www/app',
    'app-name': 'app',
    'health-url': 'https://app.example',
  };
  const DATABASE: Inputs = { 'database-url': 'postgresql://u:p@127.0.0.1:5432/x' };

  function settings(workspace: string, inputs: Inputs, run: Partial<Run> = {}): Settings {
    const parsed = parseSettings((name) => inputs[name] ?? inputRule(name).fallback, {
      run: {
        id: '1',
        attempt: 1,
        serverUrl: 'file://',
        repository: origin.url.replace(/\.git$/, '').slice(1),
        event: 'issue_comment',
        branchOrTag: 'refs/heads/main',
        sha: origin.head(),
        fork: false,
        ...run,
      },
      terminal: false,
      workspace,
      holdsMigrations: () => false,
    });
    assert.deepEqual(parsed.problems, []);
    return parsed.settings!;
  }

  const judged = async (...of: Parameters<typeof settings>): Promise<string[]> => {
    const { refusals, warnings } = await judgeProvenance(settings(...of));
    return [
      ...refusals.map(({ message }) => `refused: ${message}`),
      ...warnings.map(({ message }) => message),
    ];
  };
  const refused = (sha: string): RegExp =>
    new RegExp(`^refused: commit ${sha.slice(0, 12)} is in no branch or tag of `);

  test('row 148: the head of a pull request that a comment brings is refused, deployed or migrated', async () => {
    const whole = checkout('refs/pull/7/head', 0);
    for (const inputs of [
      { ...SERVER, mode: 'redeploy', ref: foreign },
      { ...DATABASE, mode: 'migrate' },
      { ...DATABASE, mode: 'rollback' },
      { ...SERVER, ...DATABASE, mode: 'deploy', ref: foreign },
    ]) {
      const said = await judged(whole, inputs);
      assert.equal(said.length, 1, said.join('\n'));
      assert.match(said[0]!, refused(foreign));
    }
    // Only the ref is a stranger's: a server fetches every commit of every fork by its SHA.
    const own = await judged(checkout('main', 0), { ...SERVER, mode: 'redeploy', ref: foreign });
    assert.match(own.join(), refused(foreign));
    // The checkout alone is a stranger's: its migration files would be run.
    const said = await judged(whole, { ...SERVER, ...DATABASE, mode: 'deploy' });
    assert.match(said.join(), refused(foreign));
  });

  test('row 148: what is in a branch or tag goes on without a word', async () => {
    const whole = checkout('main', 0);
    const mode = 'redeploy';
    for (const ref of [merged, origin.head(), 'main'])
      assert.deepEqual(await judged(whole, { ...SERVER, mode, ref }), [], ref);
    const shallow = checkout('main', 1);
    assert.deepEqual(await judged(shallow, { ...SERVER, ...DATABASE, mode: 'deploy' }), []);
    // Of another branch than the one that the event is about.
    assert.deepEqual(await judged(shallow, { ...DATABASE, mode: 'migrate' }, { sha: merged }), []);
    const pulled = checkout('refs/pull/7/head', 0);
    origin.git('-C', pulled, 'tag', 'kept', foreign);
    assert.deepEqual(await judged(pulled, { ...SERVER, mode, ref: foreign }), []);
  });

  test('row 148: where the checkout cannot show it, a warning says how it can', async () => {
    const mode = 'redeploy';
    const cases: [checkout: string, why: RegExp][] = [
      [checkout('refs/pull/7/head', 1), /the checkout does not have all of them/],
      [checkout('main', 1), /the checkout does not have all of them/],
      [folder, /working-directory is no checkout of it/],
    ];
    for (const [path, why] of cases) {
      const said = await judged(path, { ...SERVER, mode, ref: foreign });
      assert.equal(said.length, 1);
      assert.match(said[0]!, why);
      assert.match(
        said[0]!,
        new RegExp(`^it is not known whether commit ${foreign.slice(0, 12)} is in a branch`),
      );
    }
    const only = checkout('refs/pull/7/head', 0);
    origin.git('-C', only, 'config', 'remote.origin.fetch', '+refs/heads/main:refs/remotes/origin/main');
    assert.match((await judged(only, { ...SERVER, mode, ref: foreign }))[0]!, /^it is not known/);
  });

  test('row 148: a checkout of another repository shows nothing, unless it is the one that the servers fetch from', async () => {
    const path = checkout('main', 0);
    const inputs = { ...SERVER, mode: 'redeploy', ref: merged };
    const other = { repository: 'octocat/operations', sha: 'c'.repeat(40) };
    assert.match(
      (await judged(path, inputs, other))[0]!,
      /working-directory is a checkout of another repository/,
    );
    assert.deepEqual(await judged(path, { ...inputs, 'repository-url': `file://${origin.url}` }, other), []);
  });

  test('row 148: the commit that GitHub started the run at, as the newest of a branch or tag, needs no checkout', async () => {
    assert.deepEqual(await judged(folder, { ...SERVER, mode: 'redeploy' }), []);
    assert.deepEqual(
      await judged(folder, { ...SERVER, mode: 'redeploy' }, { branchOrTag: 'refs/tags/v1' }),
      [],
    );
    const { branchOrTag: _, ...none } = settings(folder, { ...SERVER, mode: 'redeploy' }).run;
    const bare = { ...settings(folder, { ...SERVER, mode: 'redeploy' }), run: none };
    assert.equal((await judgeProvenance(bare as Settings)).warnings.length, 1);
  });

  test('an event that says itself whose code it brings, a person at a terminal, and modes that write nothing are not judged', async () => {
    const whole = checkout('refs/pull/7/head', 0);
    const inputs = { ...SERVER, mode: 'redeploy', ref: foreign };
    assert.deepEqual(await judged(whole, inputs, { headOf: 'pull request' }), []);
    const { event: _, ...terminal } = settings(whole, inputs).run;
    const own = { ...settings(whole, inputs), run: terminal } as Settings;
    assert.deepEqual(await judgeProvenance(own), { refusals: [], warnings: [] });
    for (const mode of ['plan', 'verify', 'health'])
      assert.deepEqual(await judged(whole, { ...SERVER, ...DATABASE, mode, ref: foreign }), [], mode);
  });

  test('the addresses of one repository', () => {
    const all = [
      'https://github.com/octocat/hotel',
      'https://github.com/octocat/hotel.git',
      'https://x-access-token@github.com:443/Octocat/Hotel/',
      'git@github.com:octocat/hotel.git',
      'ssh://git@github.com:22/octocat/hotel',
    ];
    for (const url of all) assert.ok(isSameRepository('https://github.com/octocat/hotel', url), url);
    for (const url of [
      'https://github.com/octocat/hotels',
      'https://github.example/octocat/hotel',
      '/octocat/hotel',
    ])
      assert.ok(!isSameRepository('https://github.com/octocat/hotel', url), url);
  });
});
