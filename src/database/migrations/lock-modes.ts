import type { Statement } from '../sql/parser.js';

/** Table locks as pg_locks names them, weakest first. */
export const LOCK_MODES = [
  'AccessShareLock',
  'RowShareLock',
  'RowExclusiveLock',
  'ShareUpdateExclusiveLock',
  'ShareLock',
  'ShareRowExclusiveLock',
  'ExclusiveLock',
  'AccessExclusiveLock',
] as const;
export type LockMode = (typeof LOCK_MODES)[number];

/** For each mode, in the order above, which of them it cannot be had beside. */
const CONFLICTS: Readonly<Record<LockMode, string>> = {
  AccessShareLock: '00000001',
  RowShareLock: '00000011',
  RowExclusiveLock: '00001111',
  ShareUpdateExclusiveLock: '00011111',
  ShareLock: '00110111',
  ShareRowExclusiveLock: '00111111',
  ExclusiveLock: '01111111',
  AccessExclusiveLock: '11111111',
};

/** Whether somebody who holds one lock on a table keeps out who wants the other. */
export function conflicts(held: string, wanted: LockMode): boolean {
  return CONFLICTS[wanted][LOCK_MODES.indexOf(held as LockMode)] === '1';
}

/**
 * The table lock that a statement waits behind. Writers also wait for each other's rows, so theirs counts as one that
 * keeps other writers out.
 */
export function lockOf({ kind, node }: Pick<Statement, 'kind' | 'node'>): LockMode {
  switch (kind) {
    case 'SelectStmt':
      if (node.lockingClause !== undefined) return 'ExclusiveLock';
      // Without a table it calls a function, which may do anything.
      return node.fromClause === undefined ? 'AccessExclusiveLock' : 'AccessShareLock';
    case 'InsertStmt':
    case 'UpdateStmt':
    case 'DeleteStmt':
    case 'MergeStmt':
      return 'ExclusiveLock';
    case 'IndexStmt':
      return node.concurrent === true ? 'ShareUpdateExclusiveLock' : 'ShareLock';
    case 'CreateTrigStmt':
      return 'ShareRowExclusiveLock';
    case 'VacuumStmt':
    case 'CreateStatsStmt':
      return 'ShareUpdateExclusiveLock';
    default:
      return 'AccessExclusiveLock';
  }
}
