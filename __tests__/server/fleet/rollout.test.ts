import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { HostFact } from '../../../src/lib/report.js';
import { redeployFacts, redeploySummary } from '../../../src/pipeline/host-ends.js';
import type { Host } from '../../../src/server/fleet/fleet.js';
import { rollbackFact } from '../../../src/server/fleet/rollback-fleet.js';
import { afterUndo, type HostEnd, isGoodEnd, superseded } from '../../../src/server/fleet/rollout.js';
import { hostFact } from '../../../src/server/fleet/run-worker.js';
import type { RunResult } from '../../../src/worker/protocol.js';

const NEW = 'a'.repeat(40);
const OLD = 'b'.repeat(40);

function result(outcome: RunResult['outcome'], more: Partial<RunResult> = {}): RunResult {
  return { outcome, previousSha: OLD, problems: [], warnings: [], ...more };
}

function end(position: number, outcome: RunResult['outcome'], more: Partial<RunResult> = {}): HostEnd {
  const host: Host = {
    position,
    name: `host ${position}`,
    prefix: `host ${position}: `,
    exec: () => Promise.reject(new Error('not in this test')),
  };
  const own = result(outcome, more);
  return { host, result: own, problems: own.problems, fact: hostFact(position, own) };
}

describe('what a result is called', () => {
  const cases: [RunResult['outcome'], HostFact['outcome'], rollback: HostFact['outcome'], good: boolean][] = [
    ['deployed', 'deployed', 'deployed', true],
    ['unchanged', 'unchanged', 'unchanged', true],
    ['cancelled', 'unchanged', 'unchanged', false],
    ['newer-is-live', 'skipped', 'skipped', false],
    ['failed', 'failed', 'rollback-failed', false],
    ['put-back', 'rolled-back', 'rollback-failed', false],
    ['broken', 'rollback-failed', 'rollback-failed', false],
    ['rolled-back', 'rolled-back', 'rolled-back', false],
  ];
  for (const [outcome, deploy, rollback, good] of cases) {
    test(`${outcome}: ${deploy}, and ${rollback} of a rollback`, () => {
      assert.equal(hostFact(1, result(outcome)).outcome, deploy);
      assert.equal(rollbackFact(1, result(outcome)).outcome, rollback);
      assert.equal(isGoodEnd(end(1, outcome)), good);
    });
  }

  test('every figure of the result is in the fact', () => {
    const found = result('deployed', {
      deployedSha: NEW,
      release: 'r1',
      downtimeMs: 0,
      rollbackMs: 3,
      rehearsed: false,
    });
    assert.deepEqual(hostFact(2, found), {
      host: 2,
      outcome: 'deployed',
      'previous-sha': OLD,
      'deployed-sha': NEW,
      release: 'r1',
      'downtime-ms': 0,
      'rollback-ms': 3,
      rehearsed: false,
    });
  });
});

describe('a newer run', () => {
  test('makes the hosts that were stopped for it skipped, and no others', () => {
    const ends = superseded([end(1, 'newer-is-live'), end(2, 'cancelled'), end(3, 'failed')]);
    assert.deepEqual(
      ends.map((one) => one.fact.outcome),
      ['skipped', 'skipped', 'failed'],
    );
    assert.equal(superseded([end(1, 'deployed'), end(2, 'cancelled')])[1]!.fact.outcome, 'unchanged');
  });
});

describe('after it was put back', () => {
  test('a host is rolled back, and the old commit is what is deployed', () => {
    const { fact } = afterUndo(end(1, 'deployed', { deployedSha: NEW }), result('rolled-back'), 7);
    assert.equal(fact.outcome, 'rolled-back');
    assert.equal(fact['deployed-sha'], OLD);
    assert.equal(fact['rollback-ms'], 7);
  });

  test('a host whose worker had died before the cutover has failed and serves the old version', () => {
    assert.equal(afterUndo(end(1, 'failed'), result('unchanged'), 1).fact.outcome, 'failed');
  });

  test('one that could not be put back says so, with every problem', () => {
    const undone = result('broken', { problems: [{ message: 'pm2 is gone', next: 'pm2 resurrect' }] });
    const after = afterUndo(end(2, 'deployed'), undone, 1);
    assert.equal(after.fact.outcome, 'rollback-failed');
    assert.deepEqual(after.problems, [{ message: 'host 2: pm2 is gone', next: 'pm2 resurrect' }]);
  });
});

describe('the closing sentence and the facts of all hosts', () => {
  const cases: [name: string, ends: HostEnd[], sentence: string][] = [
    [
      'deployed',
      [end(1, 'deployed', { downtimeMs: 0 }), end(2, 'deployed', { downtimeMs: 1_234 })],
      'aaaaaaa is live on host 1, host 2, 1.2 s without an answer during the cutover.',
    ],
    ['live already', [end(1, 'unchanged')], 'aaaaaaa was live on host 1 already.'],
    [
      'failed',
      [end(1, 'failed'), end(2, 'cancelled')],
      'On host 1, host 2 the live version was not touched.',
    ],
    ['skipped', [end(1, 'newer-is-live')], 'On host 1 a newer run is live already: nothing was changed.'],
    [
      'mixed',
      [end(1, 'put-back'), end(2, 'broken'), end(3, 'cancelled')],
      'On host 3 the live version was not touched. On host 1 the previous version is live again. On host 2 the previous version could not be put back.',
    ],
  ];
  for (const [name, ends, sentence] of cases) {
    test(name, () => assert.equal(redeploySummary(ends, NEW), sentence));
  }

  test('what is live on the first host, and the longest downtime of all', () => {
    const facts = redeployFacts([
      end(1, 'failed'),
      end(2, 'deployed', { deployedSha: NEW, release: 'r', downtimeMs: 5 }),
      end(3, 'put-back', { downtimeMs: 9, rollbackMs: 4 }),
    ]);
    assert.equal(facts.previousSha, OLD);
    // What is live on the first host: its deploy failed, so the old commit.
    assert.equal(facts.deployedSha, OLD);
    assert.equal(facts.release, 'r');
    assert.equal(facts.downtimeMs, 9);
    assert.equal(facts.rollbackMs, 4);
    assert.equal(facts.rolledBack, true);
    assert.equal(facts.hosts?.length, 3);
  });
});
