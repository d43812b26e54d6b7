import assert from 'node:assert/strict';
import {
  appendFileSync,
  mkdirSync,
  mkdtempSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { isUsualOutput } from '../../src/lib/build-output-names.js';
import { reachedCutover } from '../../src/worker/build/stage-marks.js';
import { sameContent, stampOf } from '../../src/worker/host/compare-files.js';
import { foldersAbove, pathInside, withTidyPaths } from '../../src/worker/host-files/paths.js';
import { linkedPaths } from '../../src/worker/host-files/shared-paths.js';
import {
  choiceProblems,
  chooseSwaps,
  type InLive,
  type SwapQuestion,
} from '../../src/worker/host-files/swap-choice.js';
import { judgeTracking, pathsInCheckout } from '../../src/worker/host-files/tracking.js';
import { untrackedAmong } from '../../src/worker/host-files/untracked-files.js';
import { historyAsFound, historyOf } from '../../src/worker/state/journal.js';

/** A build that made `made`; of the live checkout only what `live` says is there. */
const choose = (
  made: string[],
  live: Record<string, InLive> = {},
  more: Partial<SwapQuestion> & { tree?: Record<string, string[]> } = {},
) =>
  chooseSwaps({
    made,
    named: [],
    shared: [],
    envFiles: [],
    linked: [],
    inLive: (path) => live[path] ?? 'absent',
    inside: (folder) => (more.tree?.[folder] ?? []).map((name) => `${folder}/${name}`),
    ...more,
  });

describe('what of a build changes place with the live checkout', () => {
  const rows: [
    string,
    ReturnType<typeof choose>,
    { paths?: string[]; inTheWay?: string[]; leftOut?: string[] },
  ][] = [
    [
      'what builds are known to make, whatever lies there',
      choose(['node_modules', 'dist', 'apps/web/.next', 'next-env.d.ts', 'public/sw.js'], {
        dist: 'folders',
        'apps/web/.next': 'folders',
        'public/sw.js': 'differs',
      }),
      { paths: ['node_modules', 'dist', 'apps/web/.next', 'next-env.d.ts', 'public/sw.js'] },
    ],
    ['what is not there yet', choose(['made.txt'], {}), { paths: ['made.txt'] }],
    [
      'a database that the build opened',
      choose(['app.sqlite'], { 'app.sqlite': 'differs' }),
      { inTheWay: ['app.sqlite'] },
    ],
    ['a file with the same content stays', choose(['sitemap.xml'], { 'sitemap.xml': 'same' }), {}],
    ['what a deploy made and nobody wrote to', choose(['lib'], { lib: 'untouched' }), { paths: ['lib'] }],
    [
      'a folder that is there too: file by file',
      choose(
        ['public/uploads'],
        { 'public/uploads': 'folders', 'public/uploads/.keep': 'absent', 'public/uploads/a.jpg': 'differs' },
        { tree: { 'public/uploads': ['.keep', 'a.jpg'] } },
      ),
      { paths: ['public/uploads/.keep'], inTheWay: ['public/uploads/a.jpg'] },
    ],
    [
      'named output replaces what was found, and node_modules comes along',
      choose(
        ['node_modules', 'dist', 'app.sqlite', 'lib'],
        { dist: 'folders', 'app.sqlite': 'differs', lib: 'differs' },
        {
          named: ['dist', 'lib'],
        },
      ),
      { paths: ['node_modules', 'dist', 'lib'] },
    ],
    [
      'a named path inside of a folder, and one around files',
      choose(['dist', 'out/a', 'out/b'], { dist: 'folders' }, { named: ['dist/server', 'out'] }),
      { paths: ['dist/server', 'out/a', 'out/b'] },
    ],
    [
      'output of the live version that is not named',
      choose(['.next', 'dist'], { '.next': 'folders', dist: 'folders' }, { named: ['dist'] }),
      { paths: ['dist'], leftOut: ['.next'] },
    ],
    [
      'a shared path stays, and the folder around it is taken apart',
      choose(['data', 'made'], {}, { shared: ['data', 'made/keep'], tree: { made: ['keep', 'new'] } }),
      { paths: ['made/new'] },
    ],
    [
      'a shared path that both versions reach through a symlink does not hold up the folder around it',
      choose(
        ['.next', 'node_modules'],
        { '.next': 'folders' },
        {
          shared: ['.next/cache', 'node_modules/.cache'],
          linked: ['.next/cache', 'node_modules/.cache'],
        },
      ),
      { paths: ['.next', 'node_modules'] },
    ],
    [
      'an environment file that the host brought',
      choose(['config'], { config: 'folders' }, { envFiles: ['config/.env'], tree: { config: ['.env'] } }),
      {},
    ],
  ];
  for (const [name, choice, wanted] of rows)
    test(name, () => assert.deepEqual(choice, { paths: [], inTheWay: [], leftOut: [], ...wanted }));

  test('the refusal names the paths and the line to write', () => {
    const choice = choose(['node_modules', '.next', 'app.sqlite'], { 'app.sqlite': 'differs' });
    const [problem, ...others] = choiceProblems(choice, []);
    assert.deepEqual(others, []);
    assert.match(problem!.message, /The build made app\.sqlite, which lies in the live checkout already/);
    assert.match(
      problem!.next!,
      /name it in shared-paths.*build-output all that it makes: \.next, app\.sqlite\./,
    );
    const left = choose(['.next', 'dist'], { '.next': 'folders' }, { named: ['dist'] });
    assert.match(choiceProblems(left, ['dist'])[0]!.next!, /: dist, \.next\.$/);
  });

  test('names of output', () => {
    for (const path of [
      'dist',
      'packages/a/node_modules',
      'tsconfig.tsbuildinfo',
      'public/workbox-4a.js.map',
    ])
      assert.ok(isUsualOutput(path), path);
    for (const path of ['data', 'uploads', '.tmp', 'sw.js', 'public', 'app.sqlite'])
      assert.ok(!isUsualOutput(path), path);
  });
});

describe('what only the live folder has', () => {
  const tree: Record<string, { name: string; isFolder: boolean }[]> = {
    uploads: [{ name: 'a.jpg', isFolder: false }],
    old: [{ name: 'node_modules', isFolder: true }],
    mixed: [
      { name: 'dist', isFolder: true },
      { name: 'notes.txt', isFolder: false },
    ],
    storage: [
      { name: 'shared', isFolder: true },
      { name: 'other', isFolder: false },
    ],
  };
  const foreign = (
    untracked: string[],
    more: { shared?: string[]; named?: string[]; made?: string[] } = {},
  ): string[] =>
    untrackedAmong(
      untracked,
      {
        sharedPaths: more.shared ?? [],
        buildOutput: more.named ?? [],
        envFiles: ['config/app.env'],
        isAsMade: (path) => (more.made ?? []).includes(path),
      },
      (folder) => tree[folder] ?? [],
    );
  const rows: [string, string[], string[]][] = [
    ['uploads and databases', foreign(['uploads/', 'app.sqlite']), ['uploads', 'app.sqlite']],
    [
      'output, environment files and litter',
      foreign(['dist/', '.env.local', 'REVISION', 'npm-debug.log', 'config/app.env']),
      [],
    ],
    ['what is left of a package that is gone', foreign(['old/']), []],
    ['a folder with output in it', foreign(['mixed/']), ['mixed/notes.txt']],
    [
      'shared paths, also inside of a folder',
      foreign(['storage/'], { shared: ['storage/shared'] }),
      ['storage/other'],
    ],
    ['what SQLite keeps beside a shared database', foreign(['a.db-wal'], { shared: ['a.db'] }), []],
    ['named output', foreign(['lib/', 'lib.txt'], { named: ['lib'] }), ['lib.txt']],
    [
      'what the last deploy made',
      foreign(['made.txt', 'written.txt'], { made: ['made.txt'] }),
      ['written.txt'],
    ],
  ];
  for (const [name, got, wanted] of rows) test(name, () => assert.deepEqual(got, wanted));
});

describe('files that only one of two commits tracks', () => {
  const judge = (
    removed: string[],
    added: string[],
    there: string[],
    more: {
      ignored?: string[];
      shared?: string[];
      swapped?: string[];
      same?: string[];
      taken?: string[];
    } = {},
  ) =>
    judgeTracking({
      removed,
      added,
      lies: (path) => (there.includes(path) ? { path, isFile: true } : undefined),
      same: (path) => (more.same ?? []).includes(path),
      takenBefore: more.taken ?? [],
      ignored: (path) => (more.ignored ?? []).includes(path),
      shared: more.shared ?? [],
      swapped: more.swapped ?? [],
    });
  const nothing = { untrack: [], hostFrom: [], hostTo: [], takenOver: [], inTheWay: [] };
  const rows: [string, ReturnType<typeof judge>, Partial<ReturnType<typeof judge>>][] = [
    ['a file that is gone from both', judge(['old.js'], [], ['old.js']), {}],
    [
      'an environment file, an ignored upload and a shared one that were taken out of git',
      judge(['.env', 'up/p.jpg', 'data/a'], [], ['.env', 'up/p.jpg', 'data/a'], {
        ignored: ['up/p.jpg'],
        shared: ['data'],
      }),
      { untrack: ['.env', 'up/p.jpg', 'data/a'], hostFrom: ['.env', 'up/p.jpg', 'data/a'] },
    ],
    [
      'output that was taken out of git: git must not delete the new one',
      judge(['dist/a.js'], [], ['dist/a.js'], { ignored: ['dist/a.js'], swapped: ['dist'] }),
      { untrack: ['dist/a.js'] },
    ],
    ['a file in the way of the commit', judge([], ['config.js'], ['config.js']), { inTheWay: ['config.js'] }],
    [
      'a file of the host that the commit tracks',
      judge([], ['.env'], ['.env']),
      { untrack: ['.env'], hostTo: ['.env'] },
    ],
    [
      'a file that is as the commit has it is taken over, and every way back leaves it',
      judge([], ['notes.txt'], ['notes.txt'], { same: ['notes.txt'] }),
      { untrack: ['notes.txt'], takenOver: ['notes.txt'] },
    ],
    [
      'what was taken over stays where a later commit drops it',
      judge(['notes.txt', 'ours.txt'], [], ['notes.txt', 'ours.txt'], { taken: ['notes.txt'] }),
      { untrack: ['notes.txt'], hostFrom: ['notes.txt'] },
    ],
    ['a file that becomes a folder', judge(['a'], ['a/b'], ['a']), {}],
    ['the file that says the commit is ours', judge(['REVISION'], ['REVISION'], ['REVISION']), {}],
  ];
  for (const [name, got, wanted] of rows) test(name, () => assert.deepEqual(got, { ...nothing, ...wanted }));

  test('a symlink or a file in the place of a folder is in the way as well', () => {
    const root = mkdtempSync(join(tmpdir(), 'muva-lies-'));
    try {
      mkdirSync(join(root, 'public'));
      mkdirSync(join(root, 'elsewhere'));
      symlinkSync(join(root, 'elsewhere'), join(root, 'public/uploads'));
      writeFileSync(join(root, 'data'), '');
      const lies = pathsInCheckout(root);
      assert.deepEqual(lies('public/uploads/.gitkeep'), { path: 'public/uploads', isFile: true });
      assert.deepEqual(lies('data/a'), { path: 'data', isFile: true });
      assert.deepEqual(lies('public'), { path: 'public', isFile: false });
      assert.equal(lies('nothing/here'), undefined);
    } finally {
      rmSync(root, { recursive: true });
    }
  });
});

describe('paths that are given', () => {
  const rows: [string, string][] = [
    ['./public/uploads', 'public/uploads'],
    ['public//uploads/', 'public/uploads'],
    [' a/./b/../c ', 'a/c'],
  ];
  for (const [given, wanted] of rows)
    test(`${given} is ${wanted}`, () => assert.equal(pathInside('x', given), wanted));

  for (const given of ['.', '', '..', '../a', '/etc', 'a/../..', '.git', './.git/hooks'])
    test(`${given} is refused`, () =>
      assert.throws(() => pathInside('shared-paths', given), /shared-paths: /));

  test('one inside another is left out: it comes with that', () => {
    const { sharedPaths } = withTidyPaths({
      sharedPaths: ['uploads/private/', 'uploads', './uploads', 'uploads2'],
    });
    assert.deepEqual(sharedPaths, ['uploads', 'uploads2']);
  });

  test('the folders above one', () => assert.deepEqual(foldersAbove('a/b/c'), ['a', 'a/b']));

  test('in-place only what lies inside of output has its home elsewhere', () => {
    const asked = { sharedPaths: ['.next/cache', 'uploads', 'gen/keep'], buildOutput: ['gen'] };
    assert.deepEqual(linkedPaths({ strategy: 'in-place' }, asked), ['.next/cache', 'gen/keep']);
    assert.deepEqual(linkedPaths({ strategy: 'releases' }, asked), asked.sharedPaths);
  });
});

describe('whether somebody wrote', () => {
  let root: string;
  before(() => {
    root = mkdtempSync(join(tmpdir(), 'muva-same-'));
  });
  after(() => rmSync(root, { recursive: true }));
  const at = (name: string): string => join(root, name);

  test('contents are compared, large ones too, and symlinks by their target', () => {
    const large = 'x'.repeat(2_500_000);
    writeFileSync(at('a'), large);
    writeFileSync(at('b'), large);
    writeFileSync(at('c'), `${large.slice(1)}y`);
    assert.equal(sameContent(at('a'), at('b')), true);
    assert.equal(sameContent(at('a'), at('c')), false);
    symlinkSync(at('a'), at('link'));
    assert.equal(sameContent(at('a'), at('link')), false);
    assert.equal(sameContent(at('a'), at('nothing')), false);
  });

  test('a stamp holds through a move, and changes with what is written', () => {
    mkdirSync(at('folder'));
    writeFileSync(at('folder/one'), '1');
    const stamp = stampOf(at('folder'));
    renameSync(at('folder'), at('moved'));
    assert.equal(stampOf(at('moved')), stamp);
    writeFileSync(at('moved/two'), '');
    assert.notEqual(stampOf(at('moved')), stamp);
  });

  test('a database is written to as soon as SQLite keeps something beside it', () => {
    writeFileSync(at('app.db'), 'pages');
    const stamp = stampOf(at('app.db'));
    appendFileSync(at('app.db-wal'), 'a row');
    assert.notEqual(stampOf(at('app.db')), stamp);
  });
});

describe('what is written down of releases', () => {
  const ref = (name: string) => ({ release: `r${name}`, sha: name.repeat(40) });
  const run = { id: '1', attempt: 1 };
  const journal = [
    { event: 'adopted' as const, at: 0, run, ...ref('a') },
    { event: 'cutover' as const, at: 0, run, ...ref('b'), from: ref('a') },
  ];

  test('a stage that came to its cutover is none any more', () => {
    assert.equal(reachedCutover('rb', { noted: false, journal }), true);
    assert.equal(reachedCutover('ra', { noted: false, journal }), true);
    assert.equal(reachedCutover('rc', { noted: true, journal }), true);
    assert.equal(reachedCutover('rc', { noted: false, journal }), false);
  });

  test('a commit that came by hand came last, and has a name of its own', () => {
    const history = historyOf([...journal, { event: 'verified', at: 0, run, ...ref('b'), from: ref('a') }]);
    assert.equal(historyAsFound(history, ref('b').sha), history);
    const found = historyAsFound(history, ref('c').sha);
    assert.deepEqual(found.live, { release: '00000000000000-cccccccccccc', sha: ref('c').sha });
    assert.deepEqual(found.arrivals.at(-1), { release: '00000000000000-cccccccccccc' });
    assert.deepEqual(found.verified, history.verified);
  });
});
