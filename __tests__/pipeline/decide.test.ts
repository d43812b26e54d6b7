import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { mergeFacts, newlyFailing } from '../../src/lib/merge-facts.js';
import type {
  Facts,
  HealthFact,
  HostFact,
  PhaseName,
  PhaseReport,
  StepOutcome,
} from '../../src/lib/report.js';
import {
  changesOf,
  decideRollback,
  endOf,
  nextActionOf,
  schemaAhead,
  schemaLead,
} from '../../src/pipeline/decide.js';

function phase(name: PhaseName, outcome: StepOutcome = 'passed', facts: Facts = {}): PhaseReport {
  return { phase: name, outcome, startedAt: 0, milliseconds: 1, steps: [], problems: [], facts };
}

function check(name: string, ok: boolean, from: 'runner' | 'vps' = 'runner'): HealthFact {
  return { name, from, ok, status: ok ? 200 : 500, 'latency-ms': 1, attempts: 1 };
}

const APPLIED = phase('migrate', 'passed', { applied: ['1', '2'] });
const DEPLOYED = phase('redeploy', 'passed', {
  hosts: [{ host: 1, outcome: 'deployed', 'previous-sha': 'a', 'deployed-sha': 'b' }],
});
const SICK = phase('health', 'failed', { verdict: 'app', health: [check('/', false)] });
const BACK = phase('rollback', 'passed', {
  reverted: ['1', '2'],
  rolledBack: true,
  hosts: [{ host: 1, outcome: 'rolled-back' }],
});

describe('mergeFacts', () => {
  test('keeps what every phase applied, and the last word on everything else', () => {
    const facts = mergeFacts([
      APPLIED,
      phase('migrate', 'passed', { applied: ['3'], pending: [] }),
      DEPLOYED,
      BACK,
    ]);
    assert.deepEqual(facts.applied, ['1', '2', '3']);
    assert.deepEqual(facts.reverted, ['1', '2']);
    assert.deepEqual(facts.hosts, [
      { host: 1, outcome: 'rolled-back', 'previous-sha': 'a', 'deployed-sha': 'b' },
    ]);
  });
});

test('a rollback with nothing to do on a host leaves what the worker did there standing', () => {
  const putBack = { host: 1, outcome: 'rolled-back', 'rollback-ms': 1_800 } as const;
  const facts = mergeFacts([
    phase('redeploy', 'failed', { hosts: [putBack] }),
    phase('rollback', 'passed', { hosts: [{ host: 1, outcome: 'unchanged' }] }),
  ]);
  assert.deepEqual(facts.hosts, [putBack]);
});

describe('changesOf', () => {
  const cases: [string, PhaseReport[], { database: boolean; code: boolean }][] = [
    ['nothing', [phase('plan')], { database: false, code: false }],
    ['migrations', [APPLIED], { database: true, code: false }],
    ['code', [DEPLOYED], { database: false, code: true }],
    ['both, undone', [APPLIED, DEPLOYED, BACK], { database: false, code: false }],
    [
      'a host whose state is not known counts as changed',
      [phase('redeploy', 'unknown', { hosts: [{ host: 1, outcome: 'unknown' }] })],
      { database: false, code: true },
    ],
  ];
  for (const [title, phases, expected] of cases)
    test(title, () => assert.deepEqual(changesOf(phases), expected));
});

describe('decideRollback', () => {
  const cases: [string, PhaseReport[], HealthFact[], boolean, boolean][] = [
    [
      'health that failed without a single answer is not what failed before',
      [DEPLOYED, phase('health', 'failed')],
      [check('/', false)],
      true,
      true,
    ],
    ['everything passed', [APPLIED, DEPLOYED, phase('health')], [], true, false],
    [
      'row 174: the new version fell while it was watched',
      [APPLIED, DEPLOYED, phase('health'), phase('watch', 'failed')],
      [check('/', true)],
      true,
      true,
    ],
    [
      'row 174: it fell, and nothing is to be taken back',
      [APPLIED, DEPLOYED, phase('health'), phase('watch', 'failed')],
      [check('/', true)],
      false,
      false,
    ],
    ['the plan was refused: nothing was changed', [phase('plan', 'failed')], [], true, false],
    [
      'the migration failed and was rolled back by the server',
      [phase('plan'), phase('migrate', 'failed', { applied: [] })],
      [],
      true,
      false,
    ],
    [
      'redeploy failed after migrations',
      [APPLIED, phase('redeploy', 'failed', { hosts: [{ host: 1, outcome: 'failed' }] })],
      [],
      true,
      true,
    ],
    [
      'the worker put the code back, the schema is still new',
      [APPLIED, phase('redeploy', 'failed', { hosts: [{ host: 1, outcome: 'rolled-back' }] })],
      [],
      true,
      true,
    ],
    [
      'the worker put the code back, no migrations',
      [phase('redeploy', 'failed', { hosts: [{ host: 1, outcome: 'rolled-back' }] })],
      [],
      true,
      false,
    ],
    ['health fails now and was good before', [APPLIED, DEPLOYED, SICK], [check('/', true)], true, true],
    ['health fails now and was never asked before', [APPLIED, DEPLOYED, SICK], [], true, true],
    ['health failed before too', [APPLIED, DEPLOYED, SICK], [check('/', false)], true, false],
    [
      'an edge fault',
      [DEPLOYED, phase('health', 'failed', { verdict: 'edge', health: [check('/', false)] })],
      [check('/', true)],
      true,
      false,
    ],
    [
      'a contract step fails after health',
      [APPLIED, DEPLOYED, phase('health'), phase('migrate', 'failed')],
      [],
      true,
      false,
    ],
    ['rollback-on-failure: false', [APPLIED, DEPLOYED, SICK], [check('/', true)], false, false],
    ['verify fails after migrations were committed', [APPLIED, phase('verify', 'failed')], [], true, true],
  ];
  for (const [title, phases, before, onFailure, expected] of cases) {
    test(title, () => assert.equal(decideRollback(phases, before, onFailure).rollback, expected));
  }
});

test('rows 76 and 115: what an earlier attempt left, or nobody answered for, is undone like what this one did', () => {
  const failed = [phase('redeploy', 'failed', { hosts: [{ host: 1, outcome: 'failed' }] })];
  assert.equal(decideRollback(failed, [], true).rollback, false);
  assert.equal(decideRollback(failed, [], true, { database: true, code: false }).rollback, true);
  assert.equal(decideRollback(failed, [], true, { database: false, code: true }).rollback, true);
  assert.equal(decideRollback([phase('migrate', 'unknown', { applied: [] })], [], true).rollback, true);
});

describe('schemaAhead', () => {
  const host = (outcome: HostFact['outcome']): Facts => ({
    applied: ['1', '2'],
    hosts: [{ host: 1, outcome }],
  });
  const cases: [string, Facts, string[]][] = [
    ['the new code serves', host('deployed'), []],
    ['it is not known what serves', host('unknown'), []],
    ['the server put the old code back', host('rolled-back'), ['2', '1']],
    ['the build failed', host('failed'), ['2', '1']],
    ['one of two was taken back', { ...host('rolled-back'), reverted: ['2'] }, ['1']],
    [
      'what a rollback kept of earlier runs',
      { ...host('rolled-back'), applied: [], schemaAhead: ['7'] },
      ['7'],
    ],
    ['there is no server', { applied: ['1'] }, []],
  ];
  for (const [title, facts, expected] of cases)
    test(title, () => assert.deepEqual(schemaAhead(facts), expected));
});

describe('why nothing is rolled back', () => {
  const host = (position: number, outcome: HostFact['outcome']): HostFact => ({ host: position, outcome });
  const cases: [string, HostFact[], RegExp][] = [
    ['nothing was changed', [], /^This run changed nothing that could be undone\.$/],
    [
      'the live version was not touched',
      [host(1, 'failed')],
      /^This run changed nothing that could be undone\.$/,
    ],
    [
      'the worker put it back',
      [host(1, 'rolled-back')],
      /^The server has put the previous version back already; nothing else was changed\.$/,
    ],
    [
      'the workers put it back',
      [host(1, 'rolled-back'), host(2, 'unchanged')],
      /^Every server that was changed has put/,
    ],
    [
      'the worker could not',
      [host(1, 'rolled-back'), host(2, 'rollback-failed')],
      /^The previous version could not be put back; nothing else was changed\.$/,
    ],
  ];
  for (const [title, hosts, why] of cases)
    test(title, () => {
      const decision = decideRollback([phase('redeploy', 'failed', { hosts })], [], true);
      assert.equal(decision.rollback, false);
      assert.match(decision.why, why);
    });
});

describe('nextAction', () => {
  const failed = (name: PhaseName, next: (string | undefined)[], facts: Facts = {}): PhaseReport => ({
    ...phase(name, 'failed', facts),
    problems: next.map((each) => ({ message: 'no', ...(each === undefined ? {} : { next: each }) })),
  });
  const broken: Facts = { hosts: [{ host: 1, outcome: 'rollback-failed' }] };
  const cases: [string, PhaseReport[], string | undefined][] = [
    ['nothing after success', [APPLIED], undefined],
    ['of the first failure', [failed('redeploy', [undefined, 'look', 'more'])], 'look'],
    ['of the first failure, when it was put back', [APPLIED, failed('redeploy', ['look']), BACK], 'look'],
    [
      'of a rollback that failed, whatever failed before it',
      [APPLIED, failed('redeploy', ['look']), failed('rollback', ['why', 'git reset --hard'])],
      'git reset --hard',
    ],
    [
      'of a rollback that has no word on it',
      [APPLIED, failed('redeploy', ['look']), failed('rollback', [undefined])],
      'Start the rollback again: mode: rollback with run-id: 7.',
    ],
    [
      'of a server that could not put its version back',
      [failed('redeploy', ['look', 'git reset --hard'], broken), phase('rollback', 'skipped')],
      'git reset --hard',
    ],
    [
      'of a rollback that was asked for',
      [failed('rollback', ['write the down file'])],
      'write the down file',
    ],
  ];
  for (const [title, phases, next] of cases) test(title, () => assert.equal(nextActionOf(phases, '7'), next));
});

describe('newlyFailing', () => {
  test('tells the vantage points apart', () => {
    const now = [check('/', false, 'runner'), check('/', false, 'vps')];
    assert.deepEqual(newlyFailing([check('/', false, 'runner'), check('/', true, 'vps')], now), [now[1]]);
  });
});

describe('the outcome', () => {
  const cases: [string, PhaseReport[], string, boolean, string][] = [
    ['all passed', [APPLIED, DEPLOYED, phase('health')], 'deploy', false, 'success'],
    ['refused', [phase('plan', 'failed')], 'deploy', false, 'failure'],
    ['rolled back', [APPLIED, DEPLOYED, SICK, BACK], 'deploy', false, 'rolled-back'],
    [
      'rollback failed',
      [APPLIED, DEPLOYED, SICK, phase('rollback', 'failed')],
      'deploy',
      false,
      'rollback-failed',
    ],
    [
      'rollback skipped',
      [DEPLOYED, phase('health', 'failed'), phase('rollback', 'skipped')],
      'deploy',
      false,
      'failure',
    ],
    [
      'the worker put it back',
      [phase('redeploy', 'failed', { hosts: [{ host: 1, outcome: 'rolled-back' }] })],
      'redeploy',
      false,
      'rolled-back',
    ],
    [
      'the worker put the code back, and the schema is kept',
      [
        APPLIED,
        phase('redeploy', 'failed', { hosts: [{ host: 1, outcome: 'rolled-back' }] }),
        phase('rollback', 'passed', { rolledBack: false, schemaAhead: ['1'] }),
      ],
      'deploy',
      false,
      'rolled-back',
    ],
    [
      'the build failed, and the schema is kept',
      [
        APPLIED,
        phase('redeploy', 'failed', { hosts: [{ host: 1, outcome: 'failed' }] }),
        phase('rollback', 'passed', { rolledBack: false, schemaAhead: ['1'] }),
      ],
      'deploy',
      false,
      'failure',
    ],
    [
      'a rollback that was cancelled',
      [APPLIED, SICK, phase('rollback', 'failed')],
      'deploy',
      true,
      'cancelled',
    ],
    [
      'nobody answers, the rollback neither',
      [phase('migrate', 'unknown'), phase('rollback', 'failed')],
      'deploy',
      false,
      'unknown',
    ],
    ['mode rollback that was refused', [phase('rollback', 'failed')], 'rollback', false, 'failure'],
    [
      'mode rollback that failed on the way',
      [phase('rollback', 'failed', { rolledBack: false })],
      'rollback',
      false,
      'rollback-failed',
    ],
    [
      'the worker could not put it back',
      [phase('redeploy', 'failed', { hosts: [{ host: 1, outcome: 'rollback-failed' }] })],
      'redeploy',
      false,
      'rollback-failed',
    ],
    ['mode rollback', [BACK], 'rollback', false, 'success'],
    [
      'mode rollback with nothing to undo',
      [phase('rollback', 'passed', { rolledBack: false })],
      'rollback',
      false,
      'success',
    ],
    [
      'a newer run is live',
      [phase('redeploy', 'passed', { hosts: [{ host: 1, outcome: 'skipped' }] })],
      'deploy',
      false,
      'skipped',
    ],
    ['cancelled', [phase('migrate', 'failed')], 'deploy', true, 'cancelled'],
    ['not known', [phase('migrate', 'unknown')], 'migrate', false, 'unknown'],
  ];
  for (const [title, phases, mode, cancelled, expected] of cases) {
    test(title, () => assert.equal(endOf(phases, mode, cancelled).outcome, expected));
  }
});

describe('schema-lead-ms', () => {
  const at = (report: PhaseReport, changedAt: number): PhaseReport => ({ ...report, changedAt });
  const back = at(BACK, 9_000);
  const cases: [string, PhaseReport[], number | undefined][] = [
    ['from the first commit until the last host', [at(APPLIED, 1_000), at(DEPLOYED, 4_500)], 3_500],
    ['nothing was applied', [phase('migrate', 'passed', { applied: [] }), at(DEPLOYED, 4_500)], 0],
    [
      'only what waits for health was applied',
      [phase('migrate'), at(DEPLOYED, 4_500), at(APPLIED, 5_000)],
      0,
    ],
    ['until the down files were committed', [at(APPLIED, 1_000), at(DEPLOYED, 4_500), back], 8_000],
    [
      'the old code stays',
      [
        at(APPLIED, 1_000),
        at(phase('redeploy', 'failed', { hosts: [{ host: 1, outcome: 'failed' }] }), 2_000),
      ],
      undefined,
    ],
    ['no database', [at(DEPLOYED, 4_500)], undefined],
    ['no server', [at(APPLIED, 1_000)], undefined],
  ];
  for (const [title, phases, expected] of cases)
    test(title, () => assert.equal(schemaLead(phases), expected));
});

describe('row 141: a deploy that fails while it is prepared', () => {
  const failed = phase('prepare', 'failed', { hosts: [{ host: 1, outcome: 'failed' }] });
  test('undoes nothing, because nothing was changed', () => {
    assert.deepEqual(decideRollback([phase('plan'), failed], [], true), {
      rollback: false,
      why: 'This run changed nothing that could be undone.',
    });
    assert.equal(endOf([phase('plan'), failed], 'deploy', false).outcome, 'failure');
  });

  test('row 143: undoes what an earlier attempt of the same run left standing', () => {
    const earlier = { database: true, code: false };
    assert.equal(decideRollback([phase('plan'), failed], [], true, earlier).rollback, true);
    assert.match(
      decideRollback([phase('plan'), failed], [], false, earlier).why,
      /rollback-on-failure is false/,
    );
  });
});

describe('row 175: one truth after a put-back that failed', () => {
  const FAILED = phase('redeploy', 'failed', {
    hosts: [{ host: 1, outcome: 'rollback-failed', 'previous-sha': 'a' }],
  });
  const BROKEN = phase('rollback', 'failed', {
    rolledBack: false,
    hosts: [{ host: 1, outcome: 'rollback-failed' }],
  });
  const CURED = phase('rollback', 'passed', {
    rolledBack: true,
    reverted: ['1', '2'],
    hosts: [{ host: 1, outcome: 'unchanged', 'deployed-sha': 'a', release: 'r1' }],
  });
  const OTHER_HOST = phase('redeploy', 'failed', {
    hosts: [
      { host: 1, outcome: 'rolled-back', 'deployed-sha': 'a' },
      { host: 2, outcome: 'rollback-failed' },
    ],
  });
  type End = ReturnType<typeof endOf>;
  interface Told {
    outcome: End['outcome'];
    hosts: string[];
    deployedSha: string | undefined;
    rolledBack: boolean;
    ahead: string[];
  }
  const told = ({ outcome, facts }: End): Told => ({
    outcome,
    hosts: (facts.hosts ?? []).map((host) => host.outcome),
    deployedSha: facts.deployedSha,
    rolledBack: facts.rolledBack ?? false,
    ahead: facts.schemaAhead ?? [],
  });
  const bad = { outcome: 'rollback-failed', deployedSha: undefined, rolledBack: false } as const;
  const table: [string, PhaseReport[], Told][] = [
    ['no migrations', [FAILED], { ...bad, hosts: ['rollback-failed'], ahead: [] }],
    [
      'nor could the rollback: the schema is kept',
      [APPLIED, FAILED, BROKEN],
      { ...bad, hosts: ['rollback-failed'], ahead: ['2', '1'] },
    ],
    [
      'the database alone went back',
      [
        APPLIED,
        FAILED,
        phase('rollback', 'passed', {
          rolledBack: true,
          reverted: ['1', '2'],
          hosts: [{ host: 1, outcome: 'unchanged' }],
        }),
      ],
      { ...bad, hosts: ['rollback-failed'], rolledBack: true, ahead: [] },
    ],
    [
      'the rollback made it good',
      [APPLIED, FAILED, CURED],
      { outcome: 'rolled-back', hosts: ['rolled-back'], deployedSha: 'a', rolledBack: true, ahead: [] },
    ],
    [
      'one host of two',
      [OTHER_HOST],
      { ...bad, hosts: ['rolled-back', 'rollback-failed'], deployedSha: 'a', rolledBack: true, ahead: [] },
    ],
  ];
  for (const [title, phases, expected] of table)
    test(`row 175: ${title}`, () => assert.deepEqual(told(endOf(phases, 'deploy', false)), expected));

  test('row 175: commands by hand are the hint as long as they are needed', () => {
    const commands = { message: 'by hand', next: 'pm2 restart app' };
    const failed = { ...FAILED, problems: [{ message: 'sick', next: 'See its log.' }, commands] };
    assert.equal(nextActionOf([failed], '1'), 'pm2 restart app');
    assert.equal(nextActionOf([APPLIED, failed, CURED], '1'), 'See its log.');
  });
});
