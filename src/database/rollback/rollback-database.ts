import { randomBytes } from 'node:crypto';
import type { PhaseRecord } from '../../base/phase.js';
import { Cancelled, Failure } from '../../base/report.js';
import { commandLine } from '../../base/shell.js';
import type { DatabaseSettings, Settings } from '../../settings/settings.js';
import type { Tools } from '../../tools.js';
import type { Database } from '../connection/connection.js';
import { failureOf } from '../connection/problem.js';
import { reading } from '../connection/reading.js';
import { SqlError } from '../connection/sql-error.js';
import { HISTORY_TABLE, MIGRATIONS_TABLE } from '../history/bookmark.js';
import { CODES } from '../history/codes.js';
import { type FoundDown, findDowns, prepareDowns } from './find-downs.js';
import {
  chooseTarget,
  type RollbackLook,
  type RollbackTarget,
  splitAtIrreversible,
  wholeRuns,
} from './rollback-decision.js';
import { describeLoss, revertFailure } from './rollback-failure.js';
import { LOOK_DEADLINE, readLook, sendChange } from './rollback-send.js';
import { deleteRecordsMessage, LOOK_MESSAGE } from './rollback-sql.js';
import { type RevertFailure, type RevertResult, runDowns, tellFailedDowns } from './run-downs.js';

export interface DatabaseRollback {
  /** Newest first. */
  reverted: string[];
  /** Versions that stay applied while the code went back. */
  schemaAhead: string[];
  changed: boolean;
}

/** Looks at what the database knows of its deploys, before anything is undone. */
export function lookWhatToUndo(tools: Tools, record: PhaseRecord): Promise<RollbackLook> {
  return record.step('database: look what to undo', async () => {
    const { database } = tools;
    if (!database) throw new Failure({ message: 'there is no database to roll back' });
    const sending = { deadline: LOOK_DEADLINE, signal: tools.signal };
    const asked = reading(tools.signal, () => database.send(LOOK_MESSAGE, sending));
    return readLook(
      await asked.catch((error: unknown) => {
        throw failureOf(error, 'looking what to undo');
      }),
    );
  });
}

export interface DatabaseScope {
  /** Made a moment ago. A history that has changed since is noticed and looked at again. */
  look: RollbackLook;
  /** The runs whose code goes back in the same rollback; without it the database is rolled back alone. */
  runs?: readonly string[];
  /** The words of the command line by which a person asks for the same again. */
  again: readonly string[];
}

/**
 * Undoes what the named run (or steps, or what came after a commit) did to the schema, newest first, in one
 * transaction that ends with the proof that the schema is as before. Nothing to undo is no failure.
 */
export async function rollbackDatabase(
  tools: Tools,
  settings: Settings,
  record: PhaseRecord,
  scope: DatabaseScope,
): Promise<DatabaseRollback> {
  const { database } = tools;
  const wanted = settings.database;
  if (!database || !wanted) throw new Failure({ message: 'there is no database to roll back' });
  let { look } = scope;
  for (let attempt = 1; ; attempt++) {
    try {
      return await undo({ tools, database, wanted, look, record }, settings, scope);
    } catch (error) {
      if (!(error instanceof SqlError && error.code === CODES.gone)) throw error;
      if (attempt === LOOKS)
        throw new Failure({
          message: 'the migration history keeps changing: another tool is at work; nothing was undone',
          next: 'Wait for it, then run the rollback again.',
        });
      tools.log({ kind: 'progress', text: 'the migration history has changed: looking again' });
    }
    look = await lookWhatToUndo(tools, record);
  }
}

/** How often the history may change between the look and the change. */
const LOOKS = 3;

async function undo(work: Work, settings: Settings, scope: DatabaseScope): Promise<DatabaseRollback> {
  const { tools, look, record } = work;
  const target = chooseTarget(look, settings.rollback, scope.runs);
  if (target.kind === 'refused') throw new Failure({ message: target.message, next: target.next });
  for (const { version, done } of look.partial.filter(({ runId }) => runId === settings.rollback.runId))
    tools.log({
      kind: 'warning',
      problem: {
        message: `${version} was applied in part by this run (${done} of its parts stand) and is not undone: a down file undoes the whole`,
        next: 'The next deploy goes on behind that part; or undo it by hand.',
      },
    });
  if (target.kind === 'nothing') {
    tell(record, 'database: nothing to undo', target.why);
    return { reverted: [], schemaAhead: [], changed: false };
  }
  switch (settings.rollback.database) {
    case 'keep':
      tell(record, 'database: schema kept', `rollback-database is keep: ${target.versions.join(', ')}`);
      return { reverted: [], schemaAhead: target.versions, changed: false };
    case 'records':
      return deleteRecords(work, target);
    case 'down':
      return revert(work, settings, target, scope);
  }
}

interface Work {
  tools: Tools;
  database: Database;
  wanted: DatabaseSettings;
  look: RollbackLook;
  record: PhaseRecord;
}

type Migrations = Extract<RollbackTarget, { kind: 'migrations' }>;

function tell(record: PhaseRecord, name: string, detail: string): void {
  record.add({ name, outcome: 'passed', startedAt: Date.now(), milliseconds: 0, detail });
}

/** Deletes history rows and nothing else, as rollback scripts without down files do. */
async function deleteRecords(work: Work, target: Migrations): Promise<DatabaseRollback> {
  const { tools, wanted, look, record } = work;
  const { versions } = target;
  tools.log({
    kind: 'warning',
    problem: {
      message: `rollback-database: records deletes ${versions.length} history rows and leaves their tables: the next deploy applies these files again and fails on objects that exist`,
      next: 'Undo the objects by hand before the next deploy, or write down files and use rollback-database: down.',
    },
  });
  const { whole } = wholeRuns(look, versions);
  await sendChange(work, versions, deleteRecordsMessage(versions, whole, wanted)).catch((error: unknown) => {
    throw revertFailure(error, []).failure;
  });
  tell(record, 'database: delete history rows', versions.join(', '));
  record.facts.reverted = versions;
  return { reverted: versions, schemaAhead: [], changed: true };
}

async function revert(
  work: Work,
  settings: Settings,
  target: Migrations,
  scope: DatabaseScope,
): Promise<DatabaseRollback> {
  const { tools, record } = work;
  const found = await findDowns(work, settings.workingDirectory, target.versions);
  const { revert: wished, keep, why } = splitAtIrreversible(found, target.above);
  if (keep.length > 0 && settings.rollback.steps !== undefined)
    throw tooManySteps(settings.rollback.steps, wished.length, why!);
  const schemaAhead = keep.map(({ version }) => version);
  if (schemaAhead.length > 0) {
    record.facts.schemaAhead = schemaAhead;
    tools.log({
      kind: 'warning',
      problem: { message: `schema ahead of code: ${schemaAhead.join(', ')}; ${why}`, next: NEXT_AHEAD },
    });
    tell(record, 'database: schema kept', `${schemaAhead.join(', ')}: ${why}`);
  }
  if (wished.length === 0) return { reverted: [], schemaAhead, changed: false };
  const result = await revertOnce(work, wished, scope);
  const reverted = wished.map(({ version }) => version);
  record.facts.reverted = reverted;
  for (const loss of result.losses)
    tools.log({ kind: 'warning', problem: { message: `deleted with it: ${describeLoss(loss)}` } });
  tell(record, 'database: compare with the schema before', PROOF[result.fingerprint] ?? result.fingerprint);
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
 * has corrected them since), those are tried.
 */
async function revertOnce(
  work: Work,
  wished: readonly FoundDown[],
  { again }: DatabaseScope,
): Promise<RevertResult> {
  const { tools, record } = work;
  const run = async (downs: readonly FoundDown[]): Promise<RevertResult | RevertFailure> => {
    const ready = await prepareDowns(tools, record, downs);
    return runDowns(work, record, {
      downs: ready,
      ...wholeRuns(
        work.look,
        ready.map(({ version }) => version),
      ),
      settings: work.wanted,
      role: work.database.role,
      marker: randomBytes(9).toString('base64url'),
    });
  };
  let result = await run(wished);
  if (
    'failure' in result &&
    mayBeCorrected(result.failure) &&
    wished.some(({ other }) => other !== undefined)
  ) {
    const problem = result.failure.problems[0]!;
    tools.log({
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
  tellFailedDowns(record, wished, result);
  const next = byHand(
    again,
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
