import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import type { Settings } from '../../../src/inputs/settings.js';
import { Failure } from '../../../src/lib/report.js';
import { exactCommit, withExactCommit } from '../../../src/server/checkout/exact-commit.js';
import { type Origin, startOrigin } from '../../servers/origin.js';

/** What a refusal says, with what to do. */
async function refusal(ref: string, folder: string): Promise<string> {
  try {
    return assert.fail(`${ref} was taken for ${await exactCommit(ref, folder)}`);
  } catch (error) {
    if (!(error instanceof Failure)) throw error;
    return error.problems.map(({ message, next }) => `${message} ${next}`).join('\n');
  }
}

describe('the exact commit', () => {
  let origin: Origin;
  let work: string;
  let first: string;
  let second: string;
  /** Brings what the origin has into the checkout, as actions/checkout with fetch-depth: 0 does. */
  const fetch = (): string =>
    origin.git(
      '-C',
      work,
      'fetch',
      '-q',
      '--prune',
      '--tags',
      'origin',
      '+refs/heads/*:refs/remotes/origin/*',
    );
  /** Somebody who may push pushes a branch; it is named so until the test is over. */
  const withBranch = async (name: string, sha: string, body: () => Promise<void>): Promise<void> => {
    origin.git('push', '-q', 'origin', `${sha}:refs/heads/${name}`);
    fetch();
    try {
      await body();
    } finally {
      origin.git('push', '-q', 'origin', `:refs/heads/${name}`);
      fetch();
    }
  };
  before(() => {
    origin = startOrigin({ a: '1' });
    work = mkdtempSync(join(tmpdir(), 'muva-ref-'));
    first = origin.head();
    origin.git('tag', '-a', '-m', 'Release', 'v1.0');
    second = origin.commit({ a: '2' });
    origin.git('push', '-q', 'origin', 'v1.0');
    origin.git('clone', '-q', origin.url, work);
  });
  after(() => {
    origin?.stop();
    rmSync(work, { recursive: true, force: true });
  });

  test('a full SHA is taken as it is; branches, tags and short SHAs are resolved in the checkout', async () => {
    assert.equal(await exactCommit('f'.repeat(40), work), 'f'.repeat(40));
    assert.equal(await exactCommit('F'.repeat(40), work), 'f'.repeat(40));
    for (const name of [
      'main',
      'origin/main',
      'heads/main',
      'refs/heads/main',
      'refs/remotes/origin/main',
      'HEAD',
    ])
      assert.equal(await exactCommit(name, work), second, name);
    for (const name of ['v1.0', 'tags/v1.0', 'refs/tags/v1.0'])
      assert.equal(await exactCommit(name, work), first, name);
    assert.equal(await exactCommit(first.slice(0, 7), work), first);
    assert.equal(await exactCommit(first.slice(0, 39).toUpperCase(), work), first);
  });

  test('a branch is what the job checked out, not what it has become meanwhile', async () => {
    const checkout = mkdtempSync(join(tmpdir(), 'muva-ref-'));
    try {
      origin.git('clone', '-q', origin.url, checkout);
      const before = origin.head();
      origin.commit({ a: '3' });
      assert.equal(await exactCommit('main', checkout), before);
      // A commit of this machine's own branch is on no remote.
      origin.git('-C', checkout, 'commit', '-q', '--allow-empty', '-m', 'Local');
      assert.equal(await exactCommit('main', checkout), before);
      origin.git('-C', checkout, 'checkout', '-q', '-b', 'mine');
      assert.equal(await exactCommit('mine', checkout), origin.git('-C', checkout, 'rev-parse', 'HEAD'));
      assert.equal(await exactCommit('HEAD', checkout), origin.git('-C', checkout, 'rev-parse', 'HEAD'));
    } finally {
      rmSync(checkout, { recursive: true, force: true });
    }
  });

  test('row 144: a branch named like a tag is refused, with both meanings and how to say which', () =>
    withBranch('v1.0', second, async () => {
      const said = await refusal('v1.0', work);
      assert.match(said, new RegExp(`"v1.0" means two things: the branch v1.0 \\(${second.slice(0, 12)}\\)`));
      assert.match(said, new RegExp(`the tag v1.0 \\(${first.slice(0, 12)}\\)`));
      assert.match(said, /refs\/heads\/v1\.0, refs\/tags\/v1\.0/);
      assert.equal(await exactCommit('refs/heads/v1.0', work), second);
      assert.equal(await exactCommit('refs/tags/v1.0', work), first);
    }));

  test('row 144: a branch and a tag of one name at the same commit decide nothing', () =>
    withBranch('v1.0', first, async () => assert.equal(await exactCommit('v1.0', work), first)));

  for (const digits of [7, 10, 39])
    test(`row 144: a branch named like the first ${digits} digits of a commit is refused`, async () => {
      const short = first.slice(0, digits);
      await withBranch(short, second, async () => {
        const said = await refusal(short, work);
        assert.match(said, new RegExp(`the commit ${first}`));
        assert.match(said, new RegExp(`the branch ${short} \\(${second.slice(0, 12)}\\)`));
        assert.match(said, new RegExp(`refs/heads/${short}`));
        assert.equal(await exactCommit(`refs/heads/${short}`, work), second);
      });
    });

  test('row 144: named like a short SHA, a branch is refused also where the checkout does not have the commit', async () => {
    await withBranch('44a19d68', second, async () => {
      assert.match(
        await refusal('44a19d68', work),
        /"44a19d68" reads as a short commit SHA.*the branch 44a19d68/s,
      );
      assert.equal(await exactCommit('refs/heads/44a19d68', work), second);
    });
    origin.git('-C', work, 'tag', '20260102', second);
    assert.match(await refusal('20260102', work), /the tag 20260102/);
    assert.equal(await exactCommit('refs/tags/20260102', work), second);
    origin.git('-C', work, 'tag', '-d', '20260102');
  });

  test('row 144: a branch named like the full SHA of a commit changes nothing', () =>
    withBranch(first, second, async () => assert.equal(await exactCommit(first, work), first)));

  test('row 144: a full name is that name alone, whatever else is named so', async () => {
    // Git itself looks for such a tag where there is no branch of this name.
    origin.git('-C', work, 'tag', 'refs/remotes/origin/next', first);
    assert.match(await refusal('next', work), /is not a commit of the checkout/);
    origin.git('-C', work, 'tag', '-d', 'refs/remotes/origin/next');
    await withBranch('refs/tags/v1.0', second, async () =>
      assert.equal(await exactCommit('refs/tags/v1.0', work), first),
    );
    await withBranch('tags/v1.0', second, async () =>
      assert.match(await refusal('tags/v1.0', work), /means two things/),
    );
  });

  test('row 144: a short SHA of two commits is refused, with both', async () => {
    const [one, other] = twins(origin, work, second);
    const short = sharedPrefix(one, other);
    const said = await refusal(short, work);
    assert.ok(said.includes(one) && said.includes(other), said);
    assert.equal(await exactCommit(one.slice(0, short.length + 1), work), one);
  });

  test('settings mean the commit from then on; a name that cannot be told stays, to be complained about', async () => {
    const of = async (ref: string | undefined): Promise<string | undefined> => {
      const vps = { refExplicit: true, ...(ref === undefined ? {} : { ref }) };
      const settings = { workingDirectory: work, vps } as unknown as Settings;
      return (await withExactCommit(settings)).vps?.ref;
    };
    assert.equal(await of('main'), origin.git('-C', work, 'rev-parse', 'origin/main'));
    assert.equal(await of('v1.0'), first);
    assert.equal(await of('nothing'), 'nothing');
    assert.equal(await of(undefined), undefined);
    assert.equal((await withExactCommit({ workingDirectory: work } as Settings)).vps, undefined);
  });

  test('what the checkout does not have, or cannot tell, is refused', async () => {
    assert.match(await refusal('nothing', work), /is not a commit of the checkout/);
    assert.match(await refusal('dead', work), /is not a commit of the checkout/);
    assert.match(await refusal('main', join(work, 'missing')), /git could not be run in .*missing/);
    // A tag of a file, which is no commit.
    const file = origin.git('-C', work, 'rev-parse', 'HEAD:a');
    origin.git('-C', work, 'tag', 'file', file);
    assert.match(await refusal('file', work), /is not a commit of the checkout/);
    assert.match(await refusal(file.slice(0, 12), work), /is not a commit of the checkout/);
    origin.git('-C', work, 'tag', '-d', 'file');
  });

  test('a checkout of another user, as in a container, is told with what to do', async () => {
    const bin = mkdtempSync(join(tmpdir(), 'muva-bin-'));
    const path = process.env.PATH!;
    const script = `#!/bin/sh\nexport GIT_TEST_ASSUME_DIFFERENT_OWNER=1\nPATH='${path}' exec git "$@"\n`;
    writeFileSync(join(bin, 'git'), script, { mode: 0o755 });
    process.env.PATH = `${bin}${delimiter}${path}`;
    try {
      assert.match(await refusal('main', work), /another user owns the checkout/);
    } finally {
      process.env.PATH = path;
      rmSync(bin, { recursive: true, force: true });
    }
  });
});

/** Two commits of one parent whose SHAs begin with the same seven digits; of some twenty thousand two do. */
function twins(origin: Origin, work: string, parent: string): [string, string] {
  const tree = origin.git('-C', work, 'rev-parse', `${parent}^{tree}`);
  const person = 'Tester <tester@example.com> 1700000000 +0000';
  const seen = new Map<string, string>();
  for (let number = 0; ; number++) {
    const text = `tree ${tree}\nparent ${parent}\nauthor ${person}\ncommitter ${person}\n\nTwin ${number}\n`;
    const sha = createHash('sha1').update(`commit ${text.length}\0${text}`).digest('hex');
    const other = seen.get(sha.slice(0, 7));
    seen.set(sha.slice(0, 7), text);
    if (other === undefined) continue;
    return [other, text].map((commit) => {
      const file = join(work, '.git', 'twin');
      writeFileSync(file, commit);
      return origin.git('-C', work, 'hash-object', '-w', '-t', 'commit', file);
    }) as [string, string];
  }
}

function sharedPrefix(one: string, other: string): string {
  let length = 0;
  while (one[length] === other[length]) length++;
  return one.slice(0, length);
}
