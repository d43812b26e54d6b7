import { randomBytes } from 'node:crypto';
import { Cancelled, Failure, type Problem } from '../../lib/report.js';
import { commandLine } from '../../lib/shell.js';
import type { ApplyRules } from '../apply/migration-statement.js';
import type { DatabaseAccess } from '../connection/connection.js';
import { retryRead } from '../connection/retry-read.js';
import { SqlError } from '../connection/sql-error.js';
import { failureOf } from '../connection/sql-problem.js';
import { HISTORY_TABLE, MIGRATIONS_TABLE } from '../history/deploy-tables.js';
import { CODES } from '../history/error-codes.js';
import { lookAtRuns, type RunsLook } from '../history/migration-history.js';
import { formatProblems, OtherFormat } from '../history/table-formats.js';
import { type DownsInCheckout, type FoundDown, findDowns, prepareDowns } from './find-down-files.js';
import type { RevertRules } from './revert-order.js';
import {
  chooseTarget,
  type RollbackHistory,
  type RollbackTarget,
  type RollbackWish,
  splitAtIrreversible,
  wholeRuns,
} from './rollback-decision.js';
import { describeLoss, revertFailure } from './rollback-failure.js';
import { ROLLBACK_READ_DEADLINE, sendChange } from './rollback-send.js';
import { deleteRecordsMessage } from './rollback-sql.js';
import { type RevertFailure, type RevertResult, runDowns, tellFailedDowns } from './run-down-files.js';
import type { RollbackSteps } from './steps.js';

export interface DatabaseRollback {
  /** Newest first. */
  reverted: string[];
  /** Versions that stay applied while the code went back. */
  schemaAhead: string[];
  changed: boolean;
}

/** Looks at what the database knows of its deploys, before anything is undone. */
export function readWhatToUndo(
  { database, signal }: DatabaseAccess,
  steps: RollbackSteps,
): Promise<RollbackHistory> {
  return steps.step('database: look what to undo', async () => {
    const sending = { deadline: ROLLBACK_READ_DEADLINE, signal };
    const asked = retryRead(signal, () => lookAtRuns(database, sending));
    return rollbackLook(
      await asked.catch((error: unknown) => {
        throw failureOf(error, 'looking what to undo');
      }),
    );
  });
}

/** @throws OtherFormat where another version made our tables, and this one cannot read them. */
function rollbackLook({ recorded, runs, partial, environment, formats }: RunsLook): RollbackHistory {
  const problems = formatProblems(formats);
  if (problems.length > 0) throw new OtherFormat(problems);
  return {
    history: recorded.map(({ version }) => version),
    names: Object.fromEntries(recorded.map(({ version, name }) => [version, name])),
    migrations: recorded.flatMap(({ version, name, runId, hasDown }) =>
      runId === null ? [] : [{ version, name: name ?? '', runId, hasDown }],
    ),
    runs,
    partial,
    environment,
  };
}

export interface DatabaseRollbackOrder extends DownsInCheckout {
  readonly wish: RollbackWish;
  /** The down files are run, or only the history's rows go, or nothing does. */
  readonly how: 'down' | 'records' | 'keep';
  readonly rules: RevertRules & ApplyRules;
  /** Told of the versions that stay, before anything else is undone. */
  readonly onKept: (versions: readonly string[]) => void;
  /** Made a moment ago. A history that has changed since is noticed and looked at again. */
  readonly look: RollbackHistory;
  /** The runs whose code goes back in the same rollback; without it the database is rolled back alone. */
  readonly runs?: readonly string[];
  /** The words of the command line by which a person asks for the same again. */
  readonly again: readonly string[];
}

/**
 * Undoes what the named run (or steps, or what came after a commit) did to the schema, newest first, in one
 * transaction that ends with the proof that the schema is as before. Nothing to undo is no failure.
 */
export async function rollbackDatabase(
  access: DatabaseAccess,
  order: DatabaseRollbackOrder,
  steps: RollbackSteps,
): Promise<DatabaseRollback> {
  let { look } = order;
  for (let attempt = 1; ; attempt++) {
    try {
      return await undo({ access, order, look, steps });
    } catch (error) {
      if (!(error instanceof SqlError && error.code === CODES.gone)) throw error;
      if (attempt === LOOKS)
        throw new Failure({
          message: 'the migration history keeps changing: another tool is at work; nothing was undone',
          next: 'Wait for it, then run the rollback again.',
        });
      access.log({ kind: 'progress', text: 'the migration history has changed: looking again' });
    }
    look = await readWhatToUndo(access, steps);
  }
}

/** How often the history may change between the look and the change. */
const LOOKS = 3;

async function undo(work: RollbackWork): Promise<DatabaseRollback> {
  const { access, order, look, steps } = work;
  const target = chooseTarget(look, order.wish, order.runs);
  if (target.kind === 'refused') throw new Failure({ message: target.message, next: target.next });
  for (const { version, done } of look.partial.filter(({ runId }) => runId === order.wish.runId))
    access.log({
      kind: 'warning',
      problem: {
        message: `${version} was applied in part by this run (${done} of its parts stand) and is not undone: a down file undoes the whole`,
        next: 'The next deploy goes on behind that part; or undo it by hand.',
      },
    });
  if (target.kind === 'nothing') {
    tell(steps, 'database: nothing to undo', target.why);
    return { reverted: [], schemaAhead: [], changed: false };
  }
  switch (order.how) {
    case 'keep':
      tell(steps, 'database: schema kept', `rollback-database is keep: ${target.versions.join(', ')}`);
      return { reverted: [], schemaAhead: target.versions, changed: false };
    case 'records':
      return deleteRecords(work, target);
    case 'down':
      return revert(work, target);
  }
}

interface RollbackWork {
  access: DatabaseAccess;
  order: DatabaseRollbackOrder;
  /** The newest one. */
  look: RollbackHistory;
  steps: RollbackSteps;
}

type Migrations = Extract<RollbackTarget, { kind: 'migrations' }>;

function tell(steps: RollbackSteps, name: string, detail: string): void {
  steps.add({ name, outcome: 'passed', startedAt: Date.now(), milliseconds: 0, detail });
}

/** Deletes history rows and nothing else, as rollback scripts without down files do. */
async function deleteRecords(work: RollbackWork, target: Migrations): Promise<DatabaseRollback> {
  const { access, order, look, steps } = work;
  const { rules } = order;
  const { versions } = target;
  access.log({
    kind: 'warning',
    problem: {
      message: `rollback-database: records deletes ${versions.length} history rows and leaves their tables: the next deploy applies these files again and fails on objects that exist`,
      next: 'Undo the objects by hand before the next deploy, or write down files and use rollback-database: down.',
    },
  });
  const { whole } = wholeRuns(look, versions);
  const message = deleteRecordsMessage(versions, whole, rules);
  await sendChange(access, rules, versions, message).catch((error: unknown) => {
    throw revertFailure(error, []).failure;
  });
  tell(steps, 'database: delete history rows', versions.join(', '));
  return { reverted: versions, schemaAhead: [], changed: true };
}

async function revert(work: RollbackWork, target: Migrations): Promise<DatabaseRollback> {
  const { access, order, look, steps } = work;
  const found = await findDowns(access, look, order, target.versions);
  const { revert: wished, keep, why } = splitAtIrreversible(found, target.above);
  if (keep.length > 0 && order.wish.steps !== undefined)
    throw tooManySteps(order.wish.steps, wished.length, why!);
  const schemaAhead = keep.map(({ version }) => version);
  if (schemaAhead.length > 0) {
    order.onKept(schemaAhead);
    access.log({
      kind: 'warning',
      problem: { message: `schema ahead of code: ${schemaAhead.join(', ')}; ${why}`, next: NEXT_AHEAD },
    });
    tell(steps, 'database: schema kept', `${schemaAhead.join(', ')}: ${why}`);
  }
  if (wished.length === 0) return { reverted: [], schemaAhead, changed: false };
  const reverted = wished.map(({ version }) => version);
  const result = await revertOnce(work, wished);
  if ('kept' in result) {
    const stays = [...reverted, ...schemaAhead];
    order.onKept(stays);
    access.log({ kind: 'warning', problem: { message: result.kept.message, next: NEXT_AHEAD } });
    tell(steps, 'database: schema kept', `${stays.join(', ')}: no row is lost that was written since`);
    return { reverted: [], schemaAhead: stays, changed: false };
  }
  for (const loss of result.losses)
    access.log({ kind: 'warning', problem: { message: `deleted with it: ${describeLoss(loss)}` } });
  tell(steps, 'database: compare with the schema before', PROOF[result.fingerprint] ?? result.fingerprint);
  return { reverted, schemaAhead, changed: true };
}

/** A number that a person names is done as a whole or not at all. */
function tooManySteps(wanted: number, possible: number, why: string): Failure {
  return new Failure({
    message: `of the newest ${wanted} migrations ${possible === 0 ? 'none' : `only ${possible}`} can be undone: ${why}; nothing was undone`,
    next:
      possible === 0
        ? 'Write the down file, or undo the objects by hand and say rollback-database: records.'
        : `Say rollback-steps: ${possible}, or write the missing down file.`,
  });
}

const NEXT_AHEAD =
  'The code that is live must work with this schema; a later migration can undo it. History rows stay, so the next deploy goes on from here.';

const PROOF: Readonly<Record<string, string>> = {
  equal: 'the fingerprint equals the one recorded before',
  'own changes undone': 'all that was changed is as before; other hands changed other objects meanwhile',
  'not compared': 'not compared: only a part of a run was undone, or its start is not recorded',
  'answer lost': 'the answer was lost; it would not have been committed unless it was as before',
};

/**
 * Runs the recorded down files. Where they fail, nothing was undone; and where this checkout has other ones (a person
 * has corrected them since), those are tried. `kept`: they would lose what was written since, and none of it may be lost.
 */
async function revertOnce(
  work: RollbackWork,
  wished: readonly FoundDown[],
): Promise<RevertResult | { kept: Problem }> {
  const { access, order, look, steps } = work;
  const { rules } = order;
  const run = async (downs: readonly FoundDown[]): Promise<RevertResult | RevertFailure> => {
    const ready = await steps.step(
      'database: read the down files',
      () => prepareDowns(access.log, downs),
      (prepared) => `${prepared.length} to run, newest first`,
    );
    const versions = ready.map(({ version }) => version);
    const marker = randomBytes(9).toString('base64url');
    const { role } = access.database;
    const revertOrder = { downs: ready, ...wholeRuns(look, versions), rules, role, marker };
    return runDowns(access, rules.lockWait, revertOrder, steps);
  };
  let result = await run(wished);
  if (
    'failure' in result &&
    mayBeCorrected(result.failure) &&
    wished.some(({ other }) => other !== undefined)
  ) {
    const problem = result.failure.problems[0]!;
    access.log({
      kind: 'warning',
      problem: {
        ...problem,
        message: `the recorded down files do not work: ${problem.message}; trying those of this checkout, which differ`,
      },
    });
    result = await run(
      wished.map((down) => {
        const { other, unseen: _, ...rest } = down;
        return other === undefined ? down : { ...rest, source: other };
      }),
    );
  }
  if (!('failure' in result)) return result;
  const [cause] = result.failure.problems;
  if (rules.loseNothing && cause?.code === CODES.dataLoss) return { kept: cause };
  tellFailedDowns(steps, wished, result);
  const next = byHand(
    order.again,
    wished.map(({ version }) => version),
  );
  const problems = result.failure.problems.map((problem) => ({
    ...problem,
    next: [problem.next, next].filter(Boolean).join(' '),
  }));
  throw result.failure instanceof Cancelled ? result.failure : new Failure(problems, result.failure.outcome);
}

function mayBeCorrected(failure: Failure): boolean {
  return (
    !(failure instanceof Cancelled) &&
    failure.outcome === 'failed' &&
    failure.problems[0]?.code !== CODES.dataLoss
  );
}

/** The exact commands for a person, where the down files did not do it. */
function byHand(again: readonly string[], versions: readonly string[]): string {
  const list = versions.map((version) => `'${version}'`).join(', ');
  return [
    `Again, after correcting the down file: ${commandLine('muva-deploy', 'rollback', ...again)}`,
    `By hand, after undoing the objects: ${[HISTORY_TABLE, MIGRATIONS_TABLE].map((table) => `delete from ${table} where version in (${list});`).join(' ')}`,
  ].join('. ');
}
