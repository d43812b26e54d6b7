import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import {
  chooseTarget,
  type RollbackLook,
  splitAtIrreversible,
  wholeRuns,
} from '../../src/database/rollback-decision.js';

const SHA = { a: 'a'.repeat(40), b: 'b'.repeat(40), c: 'c'.repeat(40) };

/** Run 1 (a) applied 1 and 2; run 2 (b) applied 3; run 3 (c) applied nothing; 4 came by other hands. */
const LOOK: RollbackLook = {
  history: ['1', '2', '3', '4'],
  names: {},
  migrations: [
    { version: '1', name: 'x', runId: '1', hasDown: true },
    { version: '2', name: 'x', runId: '1', hasDown: true },
    { version: '3', name: 'x', runId: '2', hasDown: false },
  ],
  runs: [
    { runId: '3', sha: SHA.c },
    { runId: '2', sha: SHA.b },
    { runId: '1', sha: SHA.a },
  ],
  partial: [],
};

describe('what a rollback undoes', () => {
  const cases: [
    what: string,
    wanted: { to?: string; steps?: number; runId?: string },
    lived: string | undefined,
    versions: string[] | RegExp,
  ][] = [
    ['the run that is named', { runId: '1' }, undefined, ['2', '1']],
    ['a run that applied nothing', { runId: '3' }, undefined, /run 3 applied no migration/],
    ['a run that is not known', { runId: '99' }, undefined, /run 99 applied no migration/],
    ['the newest, also of other hands', { steps: 2 }, undefined, ['4', '3']],
    ['more than there are', { steps: 9 }, undefined, ['4', '3', '2', '1']],
    [
      'previous: the newest deploy changed no schema',
      { to: 'previous' },
      undefined,
      /run 3, applied no migration/,
    ],
    ['previous: the commit that served is known', { to: 'previous' }, SHA.b, ['3']],
    [
      'previous: that commit never changed this database',
      { to: 'previous' },
      'd'.repeat(40),
      /changed no schema/,
    ],
    ['a commit, as a person writes it', { to: 'aaaaaaa' }, undefined, ['3']],
    ['a release that is named after its commit', { to: `20250101-${SHA.a.slice(0, 12)}` }, undefined, ['3']],
    ['the commit that is live', { to: SHA.c }, undefined, /no migration was applied since/],
    ['a commit that was never deployed', { to: 'e'.repeat(40) }, undefined, /no deploy of e+ is recorded/],
    ['a name without a commit in it', { to: 'main' }, undefined, /no deploy of main is recorded/],
  ];
  for (const [what, wanted, lived, expected] of cases)
    test(what, () => {
      const target = chooseTarget(LOOK, { runId: 'none', ...wanted }, lived);
      if (expected instanceof RegExp)
        assert.match(target.kind === 'unknown' ? target.message : target.why, expected);
      else assert.deepEqual(target.kind === 'migrations' ? target.versions : target, expected);
    });

  test('a run that is undone already counts no more', () => {
    const runs = LOOK.runs.map((run) => (run.runId === '1' ? run : { ...run, outcome: 'rolled-back' }));
    const left = { ...LOOK, runs, migrations: LOOK.migrations.slice(0, 2) };
    const target = chooseTarget(left, { runId: 'none', to: 'previous' });
    assert.deepEqual(target.kind === 'migrations' && target.versions, ['2', '1']);
    const again = chooseTarget(left, { runId: '2' });
    assert.equal(again.kind === 'nothing' && again.why, 'what run 2 changed is undone already');
  });

  test('nothing older than a migration without a down file goes', () => {
    const all = [
      { version: '4', down: 'x' },
      { version: '3', down: 'x' },
      { version: '2' },
      { version: '1', down: 'x' },
    ];
    const split = splitAtIrreversible(all);
    assert.deepEqual([split.revert, split.keep], [all.slice(0, 2), all.slice(2)]);
    assert.equal(split.why, '2 has no down file, and 1 older one stays below it');
    assert.deepEqual(splitAtIrreversible(all.slice(0, 2)).keep, []);
  });

  test('only a run of which nothing stays can be compared with its start', () => {
    assert.deepEqual(wholeRuns(LOOK, ['3', '2']), { whole: ['2'], partly: ['1'] });
    assert.deepEqual(wholeRuns(LOOK, ['3', '2', '1']), { whole: ['1', '2'], partly: [] });
    assert.deepEqual(wholeRuns(LOOK, ['4']), { whole: [], partly: [] });
  });
});
