import { randomBytes } from 'node:crypto';
import type { PhaseRecord } from '../base/phase.js';
import { Failure, type Problem } from '../base/report.js';
import type { DatabaseSettings, Settings } from '../settings/settings.js';
import type { Tools } from '../tools.js';
import type { Database } from './connection.js';
import { type DownText, type PreparedDown, prepareDown, readDownFile } from './down-files.js';
import { loadParser } from './parser.js';
import { failureOf } from './problem.js';
import { reading } from './reading.js';
import {
  chooseTarget,
  type RollbackLook,
  type RollbackTarget,
  splitAtIrreversible,
  wholeRuns,
} from './rollback-decision.js';
import { describeLoss, type Loss, revertFailure } from './rollback-failure.js';
import { LOOK_DEADLINE, readLook, sendChange } from './rollback-send.js';
import {
  deleteRecordsMessage,
  downsQuery,
  HISTORY_CHANGED,
  LOOK_MESSAGE,
  type RevertOrder,
  revertMessage,
} from './rollback-sql.js';
import { SqlError } from './sql-error.js';

export interface DatabaseRollback {
  /** Newest first. */
  reverted: string[];
  /** Versions that stay applied while the code went back. */
  schemaAhead: string[];
  changed: boolean;
}

/**
 * Undoes what the named run (or steps, or what came after a commit) did to the schema, newest first, in one
 * transaction that ends with the proof that the schema is as before. Nothing to undo is no failure.
 */
export async function rollbackDatabase(
  tools: Tools,
  settings: Settings,
  record: PhaseRecord,
): Promise<DatabaseRollback> {
  const { database } = tools;
  const wanted = settings.database;
  if (!database || !wanted) throw new Failure({ message: 'there is no database to roll back' });
  for (let attempt = 1; ; attempt++) {
    const look = await record.step('database: look what to undo', async () => {
      const sending = { deadline: LOOK_DEADLINE, signal: tools.signal };
      const asked = reading(tools.signal, () => database.send(LOOK_MESSAGE, sending));
      return readLook(
        await asked.catch((error: unknown) => {
          throw failureOf(error, 'looking what to undo');
        }),
      );
    });
    try {
      return await undo({ tools, database, wanted, look, record }, settings);
    } catch (error) {
      if (!(error instanceof SqlError && error.code === HISTORY_CHANGED)) throw error;
      if (attempt === LOOKS)
        throw new Failure({
          message: 'the migration history keeps changing: another tool is at work; nothing was undone',
          next: 'Wait for it, then run the rollback again.',
        });
      tools.log({ kind: 'progress', text: 'the migration history has changed: looking again' });
    }
  }
}

/** How often the history may change between the look and the change. */
const LOOKS = 3;

async function undo(work: Work, settings: Settings): Promise<DatabaseRollback> {
  const { tools, look, record } = work;
  const lived = record.facts.hosts?.find(({ outcome }) => outcome === 'rolled-back')?.['previous-sha'];
  const target = chooseTarget(look, settings.rollback, lived);
  if (target.kind === 'unknown') throw new Failure({ message: target.message, next: target.next });
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
      return revert(work, settings.workingDirectory, target);
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

async function revert(work: Work, workingDirectory: string, target: Migrations): Promise<DatabaseRollback> {
  const { tools, wanted, look, record } = work;
  const {
    revert: wished,
    keep,
    why,
  } = splitAtIrreversible(await findDowns(work, workingDirectory, target.versions));
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
  const downs = await prepare(work, wished as Found[]);
  const versions = downs.map(({ version }) => version);
  const order: RevertOrder = {
    downs,
    ...wholeRuns(look, versions),
    settings: wanted,
    role: work.database.role,
    marker: randomBytes(9).toString('base64url'),
  };
  const result = await runDowns(work, order, downs);
  record.facts.reverted = versions;
  for (const loss of result.losses)
    tools.log({ kind: 'warning', problem: { message: `deleted with it: ${describeLoss(loss)}` } });
  tell(record, 'database: compare with the schema before', PROOF[result.fingerprint] ?? result.fingerprint);
  return { reverted: versions, schemaAhead, changed: true };
}

const NEXT_AHEAD =
  'The code that is live must work with this schema; a later migration can undo it. History rows stay, so the next deploy goes on from here.';

const PROOF: Readonly<Record<string, string>> = {
  equal: 'the fingerprint equals the one recorded before',
  'own changes undone': 'all that was changed is as before; other hands changed other objects meanwhile',
  'not compared': 'not compared: only a part of a run was undone, or its start is not recorded',
};

interface Found extends DownText {
  down: string;
}

type Ready = Found & Pick<PreparedDown, 'statements'>;

/** The recorded down text of each version, else the file beside the migration. */
async function findDowns(
  work: Work,
  workingDirectory: string,
  versions: readonly string[],
): Promise<(DownText & { down?: string })[]> {
  const { tools, database, look, wanted } = work;
  const known = new Map(look.migrations.map((migration) => [migration.version, migration]));
  const recorded = versions.filter((version) => known.get(version)?.hasDown);
  let texts: Record<string, string> = {};
  if (recorded.length > 0) {
    const sending = { deadline: LOOK_DEADLINE, signal: tools.signal };
    const answer = await reading(tools.signal, () => database.send(downsQuery(recorded), sending));
    const value = answer[answer.length - 1]?.rows[0]?.downs;
    texts = (typeof value === 'string' ? JSON.parse(value) : (value ?? {})) as Record<string, string>;
  }
  const folder = wanted.migrationsDir.replace(/\/+$/, '');
  return Promise.all(
    versions.map(async (version) => {
      const name = known.get(version)?.name ?? look.names[version] ?? '';
      const file = `${folder}/${version}_${name}.down.sql`;
      const source = texts[version] ?? (await readDownFile(workingDirectory, file));
      return { version, name, file, source: source ?? '', ...(source === undefined ? {} : { down: source }) };
    }),
  );
}

async function prepare(work: Work, found: readonly Found[]): Promise<Ready[]> {
  const { tools, record } = work;
  return record.step(
    'database: read the down files',
    async () => {
      const parse = await loadParser();
      const problems: Problem[] = [];
      const prepared = found.map((down) => {
        const { source, statements, notices, problems: wrong } = prepareDown(down, parse);
        for (const problem of notices) tools.log({ kind: 'notice', problem });
        problems.push(...wrong);
        return { ...down, source, statements };
      });
      if (problems.length > 0) throw new Failure(problems);
      return prepared;
    },
    (downs) => `${downs.length} to run, newest first`,
  );
}

interface RevertResult {
  losses: Loss[];
  fingerprint: string;
}

/** Sends the message; a step is told only after the commit, with the time between its announcements. */
async function runDowns(work: Work, order: RevertOrder, downs: readonly Ready[]): Promise<RevertResult> {
  const { record, tools } = work;
  const started = Date.now();
  const reached = new Map<string, number>();
  const names = new Map(downs.map(({ version, name }) => [version, `database: undo ${version}_${name}`]));
  try {
    const results = await sendChange(
      work,
      downs.map(({ version }) => version),
      revertMessage(order),
      (message) => {
        if (!message.startsWith(`${order.marker} `)) return;
        const version = message.slice(order.marker.length + 1);
        reached.set(version, Date.now());
        tools.log({ kind: 'progress', text: `undoing: ${version} ran, not yet committed` });
      },
    );
    let from = started;
    for (const [version, name] of names) {
      const until = reached.get(version) ?? from;
      record.add({ name, outcome: 'passed', startedAt: from, milliseconds: until - from });
      from = until;
    }
    const row = results?.[results.length - 1]?.rows[0];
    return {
      losses: typeof row?.losses === 'string' && row.losses !== '' ? (JSON.parse(row.losses) as Loss[]) : [],
      fingerprint: typeof row?.fingerprint === 'string' ? row.fingerprint : 'not compared',
    };
  } catch (error) {
    const { failure, index } = revertFailure(error, downs);
    const steps = [...names.values()];
    record.add({
      name: index === undefined ? 'database: undo' : steps[index]!,
      outcome: failure.outcome,
      startedAt: started,
      milliseconds: Date.now() - started,
    });
    if (index !== undefined) record.skip(...steps.slice(index + 1));
    throw failure;
  }
}
