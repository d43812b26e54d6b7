import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { LintFinding } from '../../../src/database/lint/lint.js';
import {
  compareStates,
  describeMeasured,
  type Measured,
  type SeenState,
} from '../../../src/database/measure/held-locks.js';
import type { MeasuredStatement } from '../../../src/database/measure/measure.js';
import { measuredFindings, measuredLines } from '../../../src/database/measure/measured-findings.js';

const none: Measured = { locks: [], rewritten: [], indexes: [] };
const locked = (mode: string, more: Partial<Measured> = {}): Measured => ({
  ...none,
  locks: [{ relation: 'public.t', isIndex: false, modes: [mode] }],
  ...more,
});

function finding(effect: LintFinding['effect'], lock = 'ACCESS EXCLUSIVE'): LintFinding {
  const at = { file: '1_a.sql', line: 3, column: 1 };
  return {
    rule: 'the-rule',
    effect,
    lock,
    instead: 'Do otherwise.',
    at,
    statement: 'alter t',
    version: '1',
    from: 9,
    waits: false,
  };
}

function seen(what: Measured | string): MeasuredStatement {
  const place = { version: '1', from: 9, text: 'alter t', file: '1_a.sql', line: 3 };
  return typeof what === 'string' ? { ...place, why: what } : { ...place, measured: what };
}

function told(findings: LintFinding[], statements: MeasuredStatement[], why?: string): string[] {
  return measuredFindings(findings, { statements, ...(why === undefined ? {} : { why }) }).told.map(
    ({ message }) => message,
  );
}

const REWRITE = locked('ACCESS EXCLUSIVE', { rewritten: ['public.t'] });

const CASES: [name: string, findings: LintFinding[], statements: MeasuredStatement[], told: string[]][] = [
  [
    'what was seen takes the place of the guess',
    [finding('locks', 'SHARE')],
    [seen(locked('SHARE ROW EXCLUSIVE'))],
    ['alter t: takes SHARE ROW EXCLUSIVE on public.t (the-rule)'],
  ],
  ['a rewrite that is none is not told', [finding('rewrites')], [seen(locked('ACCESS EXCLUSIVE'))], []],
  ['a lock that keeps nobody out is not told', [finding('locks')], [seen(locked('ROW EXCLUSIVE'))], []],
  ['nothing on what was there is not told', [finding('briefly')], [seen(none)], []],
  [
    'a rewrite that no rule knew is told',
    [],
    [seen(REWRITE)],
    ['alter t: takes ACCESS EXCLUSIVE on public.t; writes public.t anew (measured-rewrite)'],
  ],
  ['a lock alone that no rule knew is held for a moment', [], [seen(locked('ACCESS EXCLUSIVE'))], []],
  [
    'what deletes data is told as it is, whatever is locked',
    [finding('deletes')],
    [seen(none)],
    ['alter t: deletes data (the-rule)'],
  ],
  [
    'what was not measured stays a guess, and says why',
    [finding('locks', 'SHARE')],
    [seen('division by zero (22012)')],
    ['alter t: locks its table (SHARE) while it runs (the-rule); not measured: division by zero (22012)'],
  ],
];
for (const [name, findings, statements, messages] of CASES)
  test(name, () => assert.deepEqual(told(findings, statements), messages));

test('where nothing was measured every guess says why', () => {
  assert.match(told([finding('locks')], [], 'no server')[0] ?? '', /not measured: no server$/);
  assert.deepEqual(measuredLines({ statements: [], why: 'no server', warnings: [] }), [
    'not measured: no server',
  ]);
});

test('two looks: locks on what was there, new file nodes, new indexes', () => {
  const relation = (name: string, kind: string, fileNode: string | null, table: string | null = null) =>
    ({ name, kind, fileNode, table }) as const;
  const before: SeenState = {
    relations: new Map([
      ['1', relation('public.t', 'r', '10')],
      ['2', relation('public.t_pkey', 'i', '20', '1')],
      ['3', relation('public.v', 'v', null)],
      ['4', relation('public.gone', 'r', '40')],
      ['9', relation('public.t_name_idx', 'i', '80', '1')],
    ]),
    locks: [],
  };
  const after: SeenState = {
    relations: new Map([
      ['1', relation('public.t', 'r', '11')],
      ['2', relation('public.t_pkey', 'i', '21', '1')],
      ['3', relation('public.v', 'v', null)],
      ['5', relation('public.n', 'r', '50')],
      ['6', relation('public.t_a_idx', 'i', '60', '1')],
      ['7', relation('public.n_pkey', 'i', '70', '5')],
      ['8', relation('public.t_name_idx', 'i', '80', '1')],
    ]),
    locks: [
      ['1', 'ShareLock'],
      ['1', 'AccessExclusiveLock'],
      ['2', 'AccessExclusiveLock'],
      ['3', 'AccessShareLock'],
      ['4', 'AccessExclusiveLock'],
      ['5', 'AccessExclusiveLock'],
      ['999', 'AccessExclusiveLock'],
    ],
  };
  const found = compareStates(before, after);
  assert.deepEqual(found, {
    locks: [
      { relation: 'public.gone', isIndex: false, modes: ['ACCESS EXCLUSIVE'] },
      { relation: 'public.t', isIndex: false, modes: ['ACCESS EXCLUSIVE', 'SHARE'] },
      { relation: 'public.t_pkey', isIndex: true, modes: ['ACCESS EXCLUSIVE'] },
    ],
    rewritten: ['public.t', 'public.t_pkey'],
    indexes: ['public.t_a_idx'],
  });
  assert.equal(
    describeMeasured(found),
    'ACCESS EXCLUSIVE on public.gone, public.t; writes public.t, public.t_pkey anew; builds public.t_a_idx',
  );
});
