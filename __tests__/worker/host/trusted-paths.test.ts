import assert from 'node:assert/strict';
import {
  chmodSync,
  mkdirSync,
  mkdtempSync,
  realpathSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, test } from 'node:test';
import { closedBy, modeWithoutGroup } from '../../../src/worker/host/permissions.js';
import {
  type DiskEntry,
  distrustInside,
  distrustOnTheWay,
  entriesLeadingTo,
  everythingIn,
  problemOnTheWay,
} from '../../../src/worker/host/trusted-paths.js';
import { openStateFolder } from '../../../src/worker/state/state-folder.js';

const [US, ROOT, OTHER] = [1_000, 0, 1_001];

const lying = (kind: DiskEntry['kind'], uid: number, mode: number): DiskEntry => ({
  path: '/p',
  kind,
  uid,
  mode,
});

describe('whose word is taken', () => {
  const onTheWay: [what: string, thing: DiskEntry, wanted: ReturnType<typeof distrustOnTheWay>][] = [
    ['a folder of root', lying('folder', ROOT, 0o755), undefined],
    ['a folder of our own that a group may write', lying('folder', US, 0o2775), undefined],
    ['a folder like /tmp', lying('folder', ROOT, 0o1777), undefined],
    ['the same without the sticky bit', lying('folder', ROOT, 0o777), 'open'],
    ['a folder of our own that everybody may write', lying('folder', US, 0o707), 'open'],
    ['a folder of another user, whatever its mode', lying('folder', OTHER, 0o700), 'stranger'],
    ['a symlink of root, whose mode says nothing', lying('link', ROOT, 0o777), undefined],
    ['a symlink of our own', lying('link', US, 0o777), undefined],
    ['a symlink of another user', lying('link', OTHER, 0o777), 'stranger'],
  ];
  for (const [what, thing, wanted] of onTheWay)
    test(`row 146: on the way, ${what}`, () => assert.equal(distrustOnTheWay(thing, US), wanted));

  const inside: [what: string, thing: DiskEntry, wanted: ReturnType<typeof distrustInside>][] = [
    ['a file of our own', lying('file', US, 0o600), undefined],
    ['a folder that root made', lying('folder', ROOT, 0o755), undefined],
    ['a file of another user', lying('file', OTHER, 0o600), 'stranger'],
    ['a symlink, also one of our own', lying('link', US, 0o777), 'link'],
    ['a pipe', lying('other', US, 0o600), 'special'],
    ['a file that everybody may write', lying('file', US, 0o666), 'open'],
    ['a folder like /tmp: what is in it could be anybody’s', lying('folder', US, 0o1777), 'open'],
  ];
  for (const [what, thing, wanted] of inside)
    test(`row 146: inside, ${what}`, () => assert.equal(distrustInside(thing, US), wanted));

  test('row 146: for root only what root owns', () => {
    assert.equal(distrustInside(lying('file', US, 0o600), ROOT), 'stranger');
    assert.equal(distrustOnTheWay(lying('folder', US, 0o755), ROOT), 'stranger');
  });
});

describe('the way to a folder', () => {
  const root = realpathSync(mkdtempSync(join(tmpdir(), 'muva-way-')));
  after(() => rmSync(root, { recursive: true }));
  const at = (...names: string[]): string => join(root, ...names);
  const names = (path: string): string[] =>
    entriesLeadingTo(path)
      .filter((lying) => lying.path.startsWith(`${root}/`))
      .map((lying) => `${lying.kind} ${lying.path.slice(root.length + 1)}`);
  mkdirSync(at('disk/www'), { recursive: true });
  symlinkSync('disk', at('short'));
  symlinkSync(at('short/www'), at('www'));
  symlinkSync('../short/./www/', at('disk/around'));
  symlinkSync('circle', at('circle'));

  test('holds each folder and symlink that the kernel passes, and ends where nothing is', () => {
    assert.deepEqual(names(at('disk/www')), ['folder disk', 'folder disk/www']);
    assert.deepEqual(names(at('www')), ['link www', 'link short', 'folder disk', 'folder disk/www']);
    assert.deepEqual(names(at('disk/around')), [
      'folder disk',
      'link disk/around',
      'link short',
      'folder disk',
      'folder disk/www',
    ]);
    assert.deepEqual(names(at('www/missing/deeper')).at(-1), 'folder disk/www');
    assert.equal(entriesLeadingTo('/')[0]?.path, '/');
    assert.ok(names(at('circle')).length > 30, 'a circle ends');
  });

  test('row 146: is complained about where everybody may put something else there', () => {
    assert.equal(problemOnTheWay(at('www')), undefined);
    chmodSync(at('disk'), 0o777);
    assert.match(problemOnTheWay(at('www'))!.message, /\/disk can be written by every user/);
    chmodSync(at('disk'), 0o1777);
    assert.equal(problemOnTheWay(at('www')), undefined);
  });

  test('what lies in a folder is named as deep as it is asked', () => {
    mkdirSync(at('state/runs/1/deep'), { recursive: true });
    mkdirSync(at('state/shared/uploads'), { recursive: true });
    writeFileSync(at('state/plan.json'), '');
    const found = everythingIn(at('state'), { runs: 2 }).map(({ path }) => path.slice(root.length + 7));
    assert.deepEqual(found.sort(), ['plan.json', 'runs', 'runs/1', 'runs/1/deep', 'shared']);
  });
});

describe('how open a copy is', () => {
  const modes: [mode: number, wanted: number][] = [
    [0o640, 0o600],
    [0o644, 0o644],
    [0o664, 0o644],
    [0o604, 0o600],
    [0o666, 0o666],
    [0o750, 0o700],
    [0o2775, 0o755],
  ];
  for (const [mode, wanted] of modes)
    test(`row 147: without its group ${mode.toString(8)} becomes ${wanted.toString(8)}`, () =>
      assert.equal(modeWithoutGroup(mode), wanted));

  const G = 33;
  const folder = (mode: number, gid = 0): { mode: number; gid: number } => ({ mode, gid });
  test('row 147: who could not come to the live version does not come to its copy elsewhere', () => {
    assert.equal(closedBy([], G), 0);
    assert.equal(closedBy([folder(0o755)], G), 0);
    assert.equal(closedBy([folder(0o755), folder(0o750, G)], G), 0o007, 'its own group passed');
    assert.equal(closedBy([folder(0o750, G), folder(0o700)], G), 0o077, 'nobody passed');
    assert.equal(closedBy([folder(0o710, G + 1)], G), 0o077, 'another group passed');
  });
});

test('row 147: what a private application has closed is not opened again by the next run', () => {
  const root = realpathSync(mkdtempSync(join(tmpdir(), 'muva-closed-')));
  try {
    mkdirSync(join(root, 'www/app'), { recursive: true });
    // An upload came first.
    mkdirSync(join(root, 'www/.app.deploy'), { mode: 0o700 });
    const open = () => openStateFolder(join(root, 'www/app'), root);
    const mode = (path: string): string => (statSync(path).mode & 0o777).toString(8);
    const { path, shared, releases, notes } = open();
    assert.deepEqual([path, shared, releases, notes].map(mode), ['711', '755', '755', '700']);
    for (const each of [shared, releases]) chmodSync(each, 0o700);
    chmodSync(notes, 0o755);
    open();
    assert.deepEqual([path, shared, releases, notes].map(mode), ['711', '700', '700', '700']);
  } finally {
    rmSync(root, { recursive: true });
  }
});
