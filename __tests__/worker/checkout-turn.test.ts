import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, describe, test } from 'node:test';
import { Cancelled, type Failure } from '../../src/lib/report.js';
import { applyCutoverPlan, manualCommands, undoCutoverPlan } from '../../src/worker/cutover/switch.js';
import { freeIndex, isStale } from '../../src/worker/host/git-index-lock.js';
import { openToolbox, type Toolbox } from '../../src/worker/host/toolbox.js';
import { keepLocalChanges } from '../../src/worker/host-files/local-changes.js';
import { waitForGit } from '../../src/worker/host-files/wait-for-git.js';
import type { HostState } from '../../src/worker/host-state/host-state.js';
import type { Plan } from '../../src/worker/state/plan.js';
import type { RunFolder } from '../../src/worker/state/run-folder.js';
import { GIT_ENV } from '../servers/origin.js';
import { kill } from '../servers/pm2.js';
import { until } from '../servers/until.js';

/**
 * A checkout that turns from one version to the next, with all that a commit does not say: built output, a service
 * worker that the build changed, an environment file and output that were taken out of git, changes of people.
 */
describe('a checkout that is turned to another commit', () => {
  let root: string;
  let tools: Toolbox;
  let plan: Plan;
  const at = (...names: string[]): string => join(root, ...names);
  const put = (path: string, text: string | Buffer): void => {
    mkdirSync(dirname(at(path)), { recursive: true });
    writeFileSync(at(path), text);
  };
  const git = (folder: string, ...args: string[]): string =>
    execFileSync('git', ['-C', at(folder), ...args], {
      encoding: 'utf8',
      env: { ...process.env, ...GIT_ENV },
      stdio: ['ignore', 'pipe', 'pipe'],
    }).trim();
  /** All that lies in the checkout, but git's own. */
  const lying = (): Record<string, string> =>
    Object.fromEntries(
      readdirSync(at('live'), { recursive: true, withFileTypes: true })
        .map((item) => ({ item, path: join(item.parentPath, item.name).slice(at('live').length + 1) }))
        .filter(({ item, path }) => !item.isDirectory() && !path.startsWith('.git/'))
        .sort((a, b) => a.path.localeCompare(b.path))
        .map(({ path }) => [path, readFileSync(at('live', path), 'latin1')]),
    );
  const BYTES = Buffer.from([0, 200, 255, 10]);

  /** A git that is killed at one of its calls, before or after it has done its work; 0: never. */
  const killGit = (call: number, when: 'before' | 'after'): void => {
    writeFileSync(at('killed'), `${call} ${when}`);
    writeFileSync(at('calls'), '0');
  };
  const calls = (): number => Number(readFileSync(at('calls'), 'utf8'));

  beforeEach(async () => {
    root = mkdtempSync(join(tmpdir(), 'muva-turn-'));
    const real = execFileSync('/bin/sh', ['-c', 'command -v git'], { encoding: 'utf8' }).trim();
    put(
      'bin/git',
      `#!/bin/sh
n=$(($(cat ${at('calls')}) + 1)); echo $n > ${at('calls')}
[ "$(cat ${at('killed')})" != "$n before" ] || kill -9 $$
${real} "$@"; code=$?
[ "$(cat ${at('killed')})" != "$n after" ] || kill -9 $$
exit $code
`,
    );
    execFileSync('chmod', ['+x', at('bin/git')]);
    killGit(0, 'before');
    tools = openToolbox({ ...process.env, ...GIT_ENV, HOME: root }).withFolders([at('bin')]);
    mkdirSync(at('live'));
    git('live', 'init', '-q');
    const files = { 'a.txt': 'one', 'sw.js': 'committed', 'both.txt': 'one', 'gone.txt': '', '.env': 'A=1' };
    for (const [path, text] of Object.entries(files)) put(`live/${path}`, text);
    for (const path of ['dist/main.js', 'up/photo']) put(`live/${path}`, 'committed');
    git('live', 'add', '-A');
    git('live', 'commit', '-q', '-m', 'one');
    const fromSha = git('live', 'rev-parse', 'HEAD');
    put('live/.gitignore', 'dist\n.env\nup\nREVISION\n');
    git('live', 'rm', '-q', '-r', '--cached', 'dist', '.env', 'up', 'gone.txt');
    put('live/a.txt', 'two');
    put('live/new.txt', 'two');
    git('live', 'add', '.gitignore', 'a.txt', 'new.txt');
    git('live', 'commit', '-q', '-m', 'two');
    const toSha = git('live', 'rev-parse', 'HEAD');
    git('live', 'reset', '-q', '--hard', fromSha);
    // What each build made: of the old version in the checkout and in its release, of the new one in its stage.
    for (const path of ['live/sw.js', 'releases/one/sw.js']) put(path, 'built one');
    put('live/dist/main.js', 'built one');
    put('live/both.txt', BYTES);
    put('live/added.txt', 'by hand');
    git('live', 'add', 'added.txt');
    put('live/notes', 'of the host');
    put('stage/sw.js', 'built two');
    put('stage/dist/main.js', 'built two');
    put('run/log', '');
    const paths = ['both.txt', 'added.txt'];
    const run = { path: at('run') } as RunFolder;
    const changes = await keepLocalChanges({ tools, folder: at('live') }, paths, run);
    plan = {
      task: 'deploy',
      run: { id: '1', attempt: 1 },
      to: { release: 'two', sha: toSha },
      swaps: [
        {
          live: at('live/dist'),
          incoming: at('stage/dist'),
          kept: at('releases/one/dist'),
          had: true,
        },
      ],
      checkout: {
        folder: at('live'),
        fromSha,
        toSha,
        from: {
          rebuilt: { folder: at('releases/one'), paths: ['sw.js'] },
          host: ['.env', 'up/photo', 'dist/main.js'],
          changes: changes!,
        },
        to: { rebuilt: { folder: at('stage'), paths: ['sw.js'] }, host: [] },
        untrack: ['dist/main.js', '.env', 'up/photo'],
        aside: at('aside'),
      },
    };
  });
  afterEach(() => rmSync(root, { recursive: true, force: true }));

  const ONE = {
    '.env': 'A=1',
    'a.txt': 'one',
    'added.txt': 'by hand',
    'both.txt': BYTES.toString('latin1'),
    'dist/main.js': 'built one',
    'gone.txt': '',
    notes: 'of the host',
    'sw.js': 'built one',
    'up/photo': 'committed',
  };
  const TWO = {
    '.env': 'A=1',
    '.gitignore': 'dist\n.env\nup\nREVISION\n',
    'a.txt': 'two',
    'both.txt': 'one',
    'dist/main.js': 'built two',
    'new.txt': 'two',
    notes: 'of the host',
    'sw.js': 'built two',
    'up/photo': 'committed',
  };
  const is = (wanted: Record<string, string>, name: string): void => {
    const { REVISION, ...rest } = lying();
    assert.deepEqual(rest, wanted, name);
    assert.ok(REVISION === undefined || REVISION.trim().length === 40);
    assert.ok(!existsSync(at('aside')), name);
  };

  /** Every point at which a killed git cuts `work`, and one at which it is not cut. */
  async function cutAnywhere(
    work: () => Promise<void>,
    then: (name: string) => Promise<void>,
  ): Promise<void> {
    killGit(0, 'before');
    cpSync(root, `${root}.start`, { recursive: true, preserveTimestamps: true });
    try {
      await work();
      const count = calls();
      assert.ok(count >= 2, `${count} calls`);
      for (let call = 1; call <= count; call++)
        for (const when of ['before', 'after'] as const) {
          rmSync(root, { recursive: true });
          cpSync(`${root}.start`, root, { recursive: true, preserveTimestamps: true });
          killGit(call, when);
          await assert.rejects(work(), /was killed/, `call ${call} ${when}`);
          killGit(0, 'before');
          await then(`killed ${when} call ${call}`);
        }
    } finally {
      rmSync(`${root}.start`, { recursive: true });
    }
  }

  test('has all that belongs to the version, there and back, again and again', async () => {
    is(ONE, 'at first');
    for (let times = 0; times < 2; times++) {
      await applyCutoverPlan(tools, plan);
      is(TWO, `applied ${times}`);
      await undoCutoverPlan(tools, plan);
      is(ONE, `undone ${times}`);
      await undoCutoverPlan(tools, plan);
      is(ONE, `undone twice ${times}`);
    }
    assert.match(
      git('live', 'status', '--porcelain', '-uno'),
      /^ ?M both\.txt\nA {2}added\.txt|A {2}added\.txt\n M both\.txt/m,
    );
  });

  test('row 103: is undone from every point at which its way there is cut', () =>
    cutAnywhere(
      () => applyCutoverPlan(tools, plan),
      async (name) => {
        await undoCutoverPlan(tools, plan);
        is(ONE, name);
      },
    ));

  test('row 103: is finished from every point at which its way there is cut', () =>
    cutAnywhere(
      () => applyCutoverPlan(tools, plan),
      async (name) => {
        await applyCutoverPlan(tools, plan);
        is(TWO, name);
      },
    ));

  test('row 103: is undone from every point at which its way back is cut, with what was written meanwhile', async () => {
    await applyCutoverPlan(tools, plan);
    put('live/up/photo', 'a newer photo');
    put('live/.env', 'A=2');
    await cutAnywhere(
      () => undoCutoverPlan(tools, plan),
      async (name) => {
        await undoCutoverPlan(tools, plan);
        is({ ...ONE, '.env': 'A=2', 'up/photo': 'a newer photo' }, name);
      },
    );
  });

  test('is put back by hand with the commands that are printed', async () => {
    await applyCutoverPlan(tools, plan);
    for (const command of manualCommands(plan, 'from', 'true')) execFileSync('/bin/sh', ['-c', command]);
    rmSync(at('aside'), { recursive: true });
    is(ONE, 'by hand');
    for (const command of manualCommands(plan, 'to', 'true')) execFileSync('/bin/sh', ['-c', command]);
    rmSync(at('aside'), { recursive: true, force: true });
    const { 'added.txt': _, ...rest } = lying();
    assert.deepEqual({ ...rest, REVISION: undefined }, { ...TWO, REVISION: undefined });
  });

  /** A person's `git commit -a` with its editor open: git keeps the lock, and no descriptor of it. */
  const commitByHand = async (): Promise<{ finish(): Promise<number | null>; end(): void }> => {
    put(
      'editor',
      `#!/bin/sh\n: >${at('editing')}\nwhile [ ! -e ${at('written')} ]; do sleep 0.05; done\necho by hand >"$1"\n`,
    );
    execFileSync('chmod', ['+x', at('editor')]);
    const child = spawn('git', ['-C', at('live'), 'commit', '-q', '-a'], {
      env: { ...process.env, ...GIT_ENV, GIT_EDITOR: at('editor') },
      stdio: 'ignore',
      detached: true,
    });
    const ended = new Promise<number | null>((resolve) => child.once('exit', resolve));
    await until('the editor of the commit', () => existsSync(at('editing')));
    return {
      finish() {
        put('written', '');
        return ended;
      },
      end: () => kill(-child.pid!),
    };
  };

  test('row 103: the lock of a git that was killed goes; one of a git at work is waited for, in the checkout alone', async () => {
    put('live/.git/index.lock', '');
    await applyCutoverPlan(tools, plan);
    is(TWO, 'applied');
    await undoCutoverPlan(tools, plan);
    const index = (): Buffer => readFileSync(at('live/.git/index.lock'));
    const person = await commitByHand();
    try {
      const held = index();
      const checkout = { tools, folder: at('live') };
      await assert.rejects(freeIndex(checkout, undefined, 300), (error: Failure) => {
        assert.match(error.message, /A git command is at work in .* \(pid \d+\) and locks its index/);
        return true;
      });
      assert.ok(held.length > 0 && index().equals(held), 'what the person commits is still there');
      mkdirSync(at('other'));
      git('other', 'init', '-q');
      put('other/.git/index.lock', '');
      await freeIndex({ tools, folder: at('other') });
      assert.ok(!existsSync(at('other/.git/index.lock')));
      const stop = new AbortController();
      const waiting = freeIndex(checkout, stop.signal, 600_000);
      stop.abort();
      await assert.rejects(waiting, Cancelled);
      const turned = applyCutoverPlan(tools, plan);
      assert.equal(await person.finish(), 0);
      await turned;
      is(TWO, 'after the commit');
      assert.match(git('live', 'log', '-g', '--format=%s'), /^by hand$/m);
    } finally {
      person.end();
    }
  });

  test('a lock that another program holds open is waited for, and one of hidden users is never called stale', async () => {
    put('live/.git/index.lock', '');
    const script = `exec 9<${at('live/.git/index.lock')}; echo open; exec sleep 600`;
    const holder = spawn('/bin/sh', ['-c', script], { cwd: '/', stdio: ['ignore', 'pipe', 'ignore'] });
    try {
      await new Promise((resolve) => holder.stdout.once('data', resolve));
      await assert.rejects(freeIndex({ tools, folder: at('live') }, undefined, 300), /pid \d+/);
    } finally {
      kill(holder.pid!);
    }
    await until('the lock to be taken for a stale one', async () => {
      await freeIndex({ tools, folder: at('live') });
      return !existsSync(at('live/.git/index.lock'));
    });
    assert.deepEqual(
      [
        { holders: [], own: true, othersSeen: false },
        { holders: [], own: false, othersSeen: true },
        { holders: [], own: false, othersSeen: false },
        { holders: [7], own: true, othersSeen: true },
      ].map(isStale),
      [true, true, false, false],
    );
  });

  test('a person who has committed meanwhile is noticed before anything is switched', async () => {
    const checkout = { tools, folder: at('live') };
    const found = { strategy: 'in-place', checkout, facts: { liveSha: plan.checkout!.fromSha } } as HostState;
    await waitForGit(found, new AbortController().signal);
    git('live', 'commit', '-q', '--allow-empty', '-m', 'by hand');
    await assert.rejects(
      waitForGit(found, new AbortController().signal),
      /Somebody turned the checkout .* it was at [0-9a-f]{40}, and is at [0-9a-f]{40} now/,
    );
  });

  test('a folder in the place of a tracked file is refused before anything is taken away', async () => {
    rmSync(at('live/a.txt'));
    put('live/a.txt/photo', 'in a folder of the same name');
    const run = { path: at('run') } as RunFolder;
    await assert.rejects(
      keepLocalChanges({ tools, folder: at('live') }, ['a.txt'], run),
      /In the place of tracked files lies something else on the server: a\.txt\./,
    );
    assert.equal(readFileSync(at('live/a.txt/photo'), 'utf8'), 'in a folder of the same name');
  });

  test('what a filter of git leaves out of the patch is kept too', async () => {
    put('live/.git/info/attributes', 'a.txt filter=clean\n');
    git('live', 'config', 'filter.clean.clean', "sed 's/secret.*//'");
    put('live/a.txt', 'three\nsecret of the host\n');
    const run = { path: at('run') } as RunFolder;
    const changes = await keepLocalChanges({ tools, folder: at('live') }, ['a.txt'], run);
    plan.checkout!.from.changes = changes!;
    await applyCutoverPlan(tools, plan);
    await undoCutoverPlan(tools, plan);
    assert.equal(readFileSync(at('live/a.txt'), 'utf8'), 'three\nsecret of the host\n');
  });
});
