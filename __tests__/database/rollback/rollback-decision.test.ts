import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import {
  chooseTarget,
  type RollbackHistory,
  splitAtIrreversible,
  wholeRuns,
} from '../../../src/database/rollback/rollback-decision.js';

const SHA = { a: 'a'.repeat(40), b: 'b'.repeat(40), c: 'c'.repeat(40) };

/** Run 1 (a) applied 1 and 2; run 2 (b) applied 3; run 3 (c) applied nothing; 4 came by other hands. */
const LOOK: RollbackHistory = {
  history: ['1', '2', '3', '4'],
  names: {},
  migrations: [
    { version: '1', name: 'x', runId: '1', hasDown: true },
    { version: '2', name: 'x', runId: '1', hasDown: true },
    { version: '3', name: 'x', runId: '2', hasDown: false },
  ],
  runs: [
    { runId: '3', sha: SHA.c, outcome: 'applied' },
    { runId: '2', sha: SHA.b, outcome: 'applied' },
    { runId: '1', sha: SHA.a, outcome: 'applied' },
  ],
  partial: [],
  environment: null,
};
/** The same without what other hands did. */
const OURS: RollbackHistory = { ...LOOK, history: ['1', '2', '3'] };

describe('what a rollback undoes', () => {
  type Row = [
    what: string,
    look: RollbackHistory,
    wanted: { to?: string; steps?: number; runId?: string },
    runs: string[] | undefined,
    expected: string[] | RegExp,
  ];
  const cases: Row[] = [
    ['the run that is named', OURS, { runId: '2' }, undefined, ['3']],
    ['a run that applied nothing', OURS, { runId: '3' }, undefined, /run 3 applied no migration/],
    ['a run that is not known', OURS, { runId: '99' }, undefined, /run 99 applied no migration/],
    [
      'a run that others came after',
      OURS,
      { runId: '1' },
      undefined,
      /2, 1 cannot be undone alone: 3 came later/,
    ],
    [
      'a run that other hands came after',
      LOOK,
      { runId: '2' },
      undefined,
      /3 cannot be undone alone: 4 came/,
    ],
    ['the newest, also of other hands', LOOK, { steps: 2 }, undefined, ['4', '3']],
    ['more than there are', LOOK, { steps: 9 }, undefined, ['4', '3', '2', '1']],
    [
      'previous: the newest deploy changed no schema',
      OURS,
      { to: 'previous' },
      undefined,
      /run 3 applied no/,
    ],
    ['a commit, as a person writes it', OURS, { to: 'aaaaaaa' }, undefined, ['3']],
    ['a release named after its commit', OURS, { to: `20250101-${SHA.a.slice(0, 12)}` }, undefined, ['3']],
    ['the commit that is live', OURS, { to: SHA.c }, undefined, /no migration was applied since/],
    [
      'a commit that was never deployed',
      OURS,
      { to: 'e'.repeat(40) },
      undefined,
      /no deploy of e+ is recorded/,
    ],
    ['a name without a commit in it', OURS, { to: 'main' }, undefined, /no deploy of main is recorded/],
    ['what the servers take back', OURS, { to: 'previous' }, ['2', '3'], ['3']],
    ['what the servers take back, all of it', OURS, { to: SHA.b }, ['1', '2'], ['3', '2', '1']],
    ['servers that take nothing back', OURS, { to: 'previous' }, [], /no deploy came after/],
  ];
  for (const [what, look, wanted, runs, expected] of cases)
    test(what, () => {
      const target = chooseTarget(look, { runId: 'none', ...wanted }, runs);
      const said = target.kind === 'refused' ? target.message : target.kind === 'nothing' ? target.why : '';
      if (expected instanceof RegExp) assert.match(said, expected);
      else assert.deepEqual(target.kind === 'migrations' ? target.versions : target, expected);
    });

  test('what stands above is named where the code goes back all the same', () => {
    const target = chooseTarget(LOOK, { runId: '2' }, ['2']);
    assert.deepEqual(target, { kind: 'migrations', versions: ['3'], above: ['4'] });
  });

  test('a run that was started without a commit is passed over, and undone by its id', () => {
    const runs = [{ runId: '4', sha: null, outcome: null }, ...OURS.runs];
    assert.deepEqual(chooseTarget({ ...OURS, runs }, { runId: 'none', to: SHA.a }).kind, 'migrations');
    assert.equal(chooseTarget({ ...OURS, runs }, { runId: 'none', to: 'previous' }).kind, 'nothing');
  });

  test('a run that is undone already counts no more', () => {
    const runs = OURS.runs.map((run) => (run.runId === '3' ? { ...run, outcome: 'rolled-back' } : run));
    const left = { ...OURS, runs };
    const target = chooseTarget(left, { runId: 'none', to: 'previous' });
    assert.deepEqual(target.kind === 'migrations' && target.versions, ['3']);
    const again = chooseTarget(left, { runId: '3' });
    assert.equal(again.kind === 'nothing' && again.why, 'what run 3 changed is undone already');
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
    const above = splitAtIrreversible([all[0]!, all[1]!, all[3]!], ['2']);
    assert.deepEqual([above.revert, above.keep], [all.slice(0, 2), [all[3]]]);
    assert.equal(above.why, '2 came after 1 and stays above it');
  });

  test('only a run of which nothing stays can be compared with its start', () => {
    assert.deepEqual(wholeRuns(LOOK, ['3', '2']), { whole: ['2'], partly: ['1'] });
    assert.deepEqual(wholeRuns(LOOK, ['3', '2', '1']), { whole: ['1', '2'], partly: [] });
    assert.deepEqual(wholeRuns(LOOK, ['4']), { whole: [], partly: [] });
  });
});
