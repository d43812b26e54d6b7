import assert from 'node:assert/strict';
import {
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  realpathSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, test } from 'node:test';
import { manualCommands, undoCutoverPlan } from '../../../src/worker/cutover/switch.js';
import { openToolbox } from '../../../src/worker/host/toolbox.js';
import {
  applyAdoption,
  applyShares,
  applySwaps,
  completeShares,
  type Plan,
  refuseOneAndTheSame,
  type Swap,
  turnLink,
  undoSwaps,
} from '../../../src/worker/state/plan.js';
import { handMadeName, isReleaseName, newReleaseName } from '../../../src/worker/state/release-name.js';

describe('a plan of renames', () => {
  let root: string;
  let swaps: Swap[];
  const at = (...names: string[]): string => join(root, ...names);
  const put = (path: string, text: string): void => {
    mkdirSync(join(path, '..'), { recursive: true });
    writeFileSync(path, text);
  };
  beforeEach(() => {
    root = mkdtempSync(join(tmpdir(), 'muva-plan-'));
    for (const name of ['a', 'b', 'c']) {
      put(at('live', name), 'old');
      put(at('stage', name), 'new');
    }
    put(at('stage', 'added'), 'new');
    swaps = ['a', 'b', 'c', 'added'].map((name) => ({
      live: at('live', name),
      incoming: at('stage', name),
      kept: at('kept', name),
      had: name !== 'added',
    }));
  });
  afterEach(() => rmSync(root, { recursive: true, force: true }));

  const live = (): Record<string, string> =>
    Object.fromEntries(readdirSync(at('live')).map((name) => [name, readFileSync(at('live', name), 'utf8')]));
  const OLD = { a: 'old', b: 'old', c: 'old' };
  const NEW = { a: 'new', added: 'new', b: 'new', c: 'new' };

  /** The first `count` renames of a plan, and then nothing: as if the worker had been killed. */
  const cutAfter = (count: number): void => {
    const renames = swaps.flatMap(({ live, incoming, kept, had }) => [
      ...(had ? [[live, kept] as const] : []),
      [incoming, live] as const,
    ]);
    mkdirSync(at('kept'), { recursive: true });
    for (const [from, to] of renames.slice(0, count)) renameSync(from, to);
  };

  test('is undone from every point at which it can be cut', () => {
    for (let count = 0; count <= 7; count++) {
      cutAfter(count);
      undoSwaps(swaps);
      assert.deepEqual(live(), OLD, `cut after ${count}`);
      assert.equal(readFileSync(at('stage/added'), 'utf8'), 'new');
      undoSwaps(swaps);
      assert.deepEqual(live(), OLD, 'undone twice');
    }
  });

  test('is finished from every point at which it can be cut, and can be undone after', () => {
    for (let count = 0; count <= 7; count++) {
      cutAfter(count);
      applySwaps(swaps);
      assert.deepEqual(live(), NEW, `cut after ${count}`);
      applySwaps(swaps);
      assert.deepEqual(live(), NEW, 'applied twice');
      undoSwaps(swaps);
      assert.deepEqual(live(), OLD);
    }
  });

  test('can be carried out by hand with the commands that are printed', async () => {
    const { execFileSync } = await import('node:child_process');
    const plan = {
      task: 'deploy' as const,
      run: { id: '1', attempt: 1 },
      to: { release: 'x', sha: 'x' },
      swaps,
    };
    for (const count of [0, 1, 2, 3, 6, 7]) {
      cutAfter(count);
      for (const command of manualCommands(plan, 'from', 'true')) execFileSync('/bin/sh', ['-c', command]);
      assert.deepEqual(live(), OLD, `cut after ${count}`);
      undoSwaps(swaps);
    }
  });

  test('a link is turned in one step, and an adoption that was cut is finished', () => {
    turnLink(at('current'), at('stage'));
    turnLink(at('current'), at('live'));
    assert.equal(readFileSync(at('current/a'), 'utf8'), 'old');
    assert.ok(!existsSync(at('current.next')));
    const adoption = { folder: at('live'), release: at('releases/one') };
    mkdirSync(at('releases'));
    renameSync(at('live'), at('releases/one'));
    applyAdoption(adoption);
    applyAdoption(adoption);
    assert.equal(readFileSync(at('live/a'), 'utf8'), 'old');
  });

  test('an adoption can be carried out by hand wherever it was cut', async () => {
    const { execFileSync } = await import('node:child_process');
    const plan = {
      task: 'deploy' as const,
      run: { id: '1', attempt: 1 },
      to: { release: 'x', sha: 'x' },
      swaps: [],
      adopt: { folder: at('live'), release: at('releases/one') },
      link: { path: at('live'), from: at('releases/one'), to: at('stage') },
    };
    mkdirSync(at('releases'));
    const byHand = (): void => {
      for (const command of manualCommands(plan, 'from', 'true')) execFileSync('/bin/sh', ['-c', command]);
      assert.equal(realpathSync(at('live')), at('releases/one'));
      assert.equal(readFileSync(at('live/a'), 'utf8'), 'old');
    };
    byHand();
    byHand();
    rmSync(at('live'));
    byHand();
    turnLink(at('live'), at('stage'));
    byHand();
  });

  test('an adoption that had not begun is not begun by undoing it', async () => {
    const tools = openToolbox(process.env);
    const plan = {
      task: 'deploy' as const,
      run: { id: '1', attempt: 1 },
      to: { release: 'x', sha: 'x' },
      swaps: [],
      shares: [{ live: at('releases/one/a'), home: at('shared/a') }],
      adopt: { folder: at('live'), release: at('releases/one') },
      link: { path: at('live'), from: at('releases/one'), to: at('stage') },
    };
    await undoCutoverPlan(tools, plan);
    assert.ok(lstatSync(at('live')).isDirectory());
    assert.deepEqual(live(), OLD);
    for (const name of ['releases', 'shared']) mkdirSync(at(name));
    renameSync(at('live'), at('releases/one'));
    await undoCutoverPlan(tools, plan);
    assert.equal(realpathSync(at('live')), at('releases/one'));
  });

  test('row 103: a shared file that replaced its symlink moves home, and what was there is kept, wherever it is cut', () => {
    const share = { live: at('version/db'), home: at('shared/db'), aside: at('shared/db.before') };
    const steps = [
      () => renameSync(share.home, share.aside),
      () => renameSync(share.live, share.home),
      () => symlinkSync(share.home, share.live),
    ];
    for (let count = 0; count <= steps.length; count++)
      for (const then of ['apply', 'take back'] as const) {
        rmSync(at('version'), { recursive: true, force: true });
        rmSync(at('shared'), { recursive: true, force: true });
        put(share.live, 'newer');
        put(share.home, 'older');
        for (const step of steps.slice(0, count)) step();
        for (let times = 0; times < 2; times++) {
          if (then === 'apply') applyShares([share]);
          else completeShares([share]);
          const name = `${then}, cut after ${count}`;
          assert.equal(readFileSync(share.live, 'utf8'), 'newer', name);
          const moved = then === 'apply' || count >= 2;
          assert.equal(readFileSync(share.home, 'utf8'), moved ? 'newer' : 'older', name);
          assert.equal(readFileSync(moved ? share.aside : share.home, 'utf8'), 'older', name);
        }
      }
  });

  test('shared files move out of the release and stay reachable through it', () => {
    put(at('live/uploads/photo'), 'mine');
    mkdirSync(at('shared'));
    const share = [{ live: at('live/uploads'), home: at('shared/uploads') }];
    turnLink(at('shared/uploads'), at('live/uploads'));
    for (let times = 0; times < 2; times++) {
      applyShares(share);
      assert.equal(readFileSync(at('live/uploads/photo'), 'utf8'), 'mine');
      assert.equal(readFileSync(at('shared/uploads/photo'), 'utf8'), 'mine');
    }
    rmSync(at('live/uploads'));
    applyShares(share);
    assert.equal(
      readFileSync(at('live/uploads/photo'), 'utf8'),
      'mine',
      'cut between the rename and the link',
    );
  });
});

describe('two versions never share a name or a place', () => {
  const SHA = '0123456789abcdef0123456789abcdef01234567';
  const NOW = new Date('2026-01-02T03:04:05.678Z');

  test('row 134: names of one commit in one second differ, sort by time and are known again', () => {
    const names = Array.from({ length: 1_000 }, () => newReleaseName(SHA, NOW));
    assert.equal(new Set(names).size, names.length);
    for (const name of names) {
      assert.match(name, /^20260102030405-[0-9a-f]{8}-0123456789ab$/);
      assert.ok(isReleaseName(name));
    }
    assert.ok(newReleaseName(SHA, new Date(NOW.getTime() + 1_000)) > names.sort().at(-1)!);
    assert.ok(isReleaseName(handMadeName(SHA)));
    assert.ok(!names.includes(handMadeName(SHA)));
    for (const other of ['v1', '20260102030405', `${names[0]}.left-behind`, `x${names[0]}`, 'current'])
      assert.ok(!isReleaseName(other), other);
  });

  const plan = (more: Partial<Plan>): Plan => ({
    task: 'deploy',
    run: { id: '1', attempt: 1 },
    from: { release: 'a', sha: SHA },
    to: { release: 'b', sha: SHA },
    swaps: [{ live: '/live/dist', incoming: '/b/dist', kept: '/a/dist', had: true }],
    link: { path: '/current', from: '/a', to: '/b' },
    ...more,
  });
  const refused: [string, Partial<Plan>][] = [
    ['one name', { to: { release: 'a', sha: SHA } }],
    ['one folder behind the link', { link: { path: '/current', from: '/b', to: '/b' } }],
    [
      'what comes lies where is kept what goes',
      { swaps: [{ live: '/live/dist', incoming: '/b/dist', kept: '/b/dist', had: true }] },
    ],
    [
      'the same on the way back',
      {
        task: 'rollback',
        swaps: [{ live: '/live/dist', incoming: '/b/dist', kept: '/b/dist', had: true }],
      },
    ],
  ];
  for (const [name, more] of refused)
    test(`row 134: refused before a swap: ${name}`, () =>
      assert.throws(() => refuseOneAndTheSame(plan(more)), /would lie in one place .*nothing was changed/));

  test('row 134: two releases of one commit, a first deploy, and a restart of what is in place are none', () => {
    refuseOneAndTheSame(plan({}));
    const { from: _, ...first } = plan({ swaps: [], link: { path: '/current', to: '/b' } });
    refuseOneAndTheSame(first);
    refuseOneAndTheSame(
      plan({ task: 'rollback', to: { release: 'a', sha: SHA }, swaps: [], link: { path: '/c', to: '/a' } }),
    );
  });
});
