import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { retryRead } from '../database/connection/retry-read.js';
import { failureOf } from '../database/connection/sql-problem.js';
import { type DatabaseStatus, readDatabaseStatus, versionsAhead } from '../database/history/past-deploys.js';
import { readMigrationFiles } from '../database/migrations/migration-files.js';
import { judgeDrift, readDriftNow } from '../database/schema/drift.js';
import { definedOnly } from '../lib/defined-only.js';
import {
  Failure,
  type LiveDatabase,
  type LiveHost,
  type PastRun,
  type PhaseReport,
  type Problem,
  problemOf,
  type Step,
} from '../lib/report.js';
import { runPhase } from '../report/phase.js';
import { statusLines } from '../report/status-table.js';
import { type StatusOfHost, statusFleet } from '../server/fleet/status-fleet.js';
import type { DatabaseWork, Work } from './tools.js';

/** Milliseconds; the database answers at once, or not at all. */
const DEADLINE = 40_000;
/** Deploys and rollbacks that are told. */
const MOST = 10;

/**
 * Says what is live, and what was before. Reads only: no lock, no folder, no table. A part that is out of reach is told
 * with its reason beside what the others say, and fails the phase.
 */
export async function status(work: Work): Promise<PhaseReport> {
  const { servers, database, log } = work;
  return runPhase('status', log, undefined, async (record) => {
    const startedAt = Date.now();
    const [answers, found] = await Promise.all([
      servers ? statusFleet(servers) : [],
      database ? lookAtDatabase(database) : undefined,
    ]);
    const hosts = answers.map(liveHost);
    const live = hosts.flatMap(({ commit }) => commit ?? []);
    const own = found && liveDatabase(found, live);
    record.facts.live = [...hosts, ...(own ? [own] : [])];
    record.facts.history = joinHistory(answers, found?.status).slice(0, MOST);
    const step = (name: string, outcome: Step['outcome'], milliseconds: number, detail: string): void =>
      record.add({ name, outcome, startedAt, milliseconds, detail });
    const problems: Problem[] = [];
    for (const { host, problem, milliseconds } of answers) {
      step(`host ${host}`, problem ? 'failed' : 'passed', milliseconds ?? 0, hosts[host - 1]!.state);
      if (problem) problems.push(problem);
    }
    if (found && own) step('database', found.problem ? 'failed' : 'passed', found.milliseconds, own.state);
    if (found?.problem) problems.push(found.problem);
    for (const text of statusLines(record.facts)) log({ kind: 'line', text });
    if (problems.length > 0) throw new Failure(problems);
    record.summarise('Nothing was changed.');
  });
}

const iso = (milliseconds: number): string => new Date(milliseconds).toISOString();

/** What one host told, in the words of the report. Pure. */
export function liveHost({ host, status: found, problem }: StatusOfHost): LiveHost {
  if (found === undefined)
    return { part: 'host', host, state: 'unreachable', ...definedOnly({ problem: problem?.message }) };
  const { lock, liveSha, liveRelease, cutRun } = found;
  const cut = cutRun !== undefined || found.runs[0]?.outcome === 'cut';
  const state: LiveHost['state'] = lock
    ? 'at-work'
    : cut
      ? 'cut'
      : liveSha === undefined
        ? 'nothing'
        : liveRelease === undefined
          ? 'by-hand'
          : 'live';
  const wrong = found.problems[0]?.message;
  return {
    part: 'host',
    host,
    state,
    ...definedOnly({
      problem: wrong,
      environment: found.environment,
      commit: liveSha,
      release: liveRelease,
      since: found.liveSince === undefined ? undefined : iso(found.liveSince),
      run: found.liveRun,
      process: found.process,
    }),
    verified: found.liveVerified,
    'rollback-to': found.reachable.map(({ release, sha }) => ({ release, commit: sha })),
    backups: found.backups.map(({ name, bytes, at }) => ({ name, bytes, at: iso(at) })),
    lock: lock ? { run: lock.runId, since: iso(lock.since), ...definedOnly({ url: lock.url }) } : null,
    'free-bytes': found.freeBytes,
  };
}

/** What the database told, or why it could not be asked. */
interface DatabaseAnswer {
  /** How long it was asked. */
  milliseconds: number;
  status?: DatabaseStatus;
  pending: string[] | null;
  drift: string | null;
  problem?: Problem;
}

async function lookAtDatabase(work: DatabaseWork): Promise<DatabaseAnswer> {
  const { database, settings, signal } = work;
  const { workingDirectory, database: rules } = settings;
  const startedAt = Date.now();
  const nothing = { pending: null, drift: null };
  const took = (): { milliseconds: number } => ({ milliseconds: Date.now() - startedAt });
  try {
    const sending = { deadline: DEADLINE, signal };
    const found = await retryRead(signal, () => readDatabaseStatus(database, sending)).catch((error) => {
      throw failureOf(error, 'looking at what is recorded');
    });
    const answer: DatabaseAnswer = { ...nothing, ...took(), status: found };
    if (found.unread.length > 0)
      answer.problem = {
        message: `the database's role cannot read ${found.unread.join(', ')}`,
        next: 'Use the login that deploys, and the version of the action that deployed last.',
      };
    if (!existsSync(join(workingDirectory, rules.migrationsDir))) return answer;
    const { files } = await readMigrationFiles(workingDirectory, rules);
    const recorded = new Set(found.recorded);
    answer.pending = files.map(({ version }) => version).filter((version) => !recorded.has(version));
    answer.drift = judgeDrift(await readDriftNow(work), 'warn').detail;
    return { ...answer, ...took() };
  } catch (error) {
    if (signal.aborted) throw error;
    return { ...nothing, ...took(), problem: problemOf(error) };
  }
}

/** The database in the words of the report. `live`: the commits that hosts serve. Pure. */
export function liveDatabase(
  { status: found, pending, drift, problem }: Omit<DatabaseAnswer, 'milliseconds'>,
  live: readonly string[],
): LiveDatabase {
  const wrong = definedOnly({ problem: problem?.message });
  if (found === undefined) return { part: 'database', state: 'unreachable', ...wrong, pending, drift };
  const version = found.recorded.at(-1);
  const by = version === undefined ? undefined : found.applied[version];
  const run = found.runs.find(({ runId }) => runId === by?.runId);
  const ahead = versionsAhead(found, live);
  const environment = found.runs.find((each) => each.environment !== null)?.environment ?? undefined;
  const state: LiveDatabase['state'] = found.busy
    ? 'at-work'
    : version === undefined
      ? 'nothing'
      : ahead !== null && ahead.length > 0
        ? 'ahead'
        : 'live';
  return {
    part: 'database',
    state,
    ...wrong,
    ...definedOnly({
      environment,
      version,
      since: by && iso(by.at),
      run: by?.runId,
      commit: run?.sha ?? undefined,
    }),
    ahead,
    pending,
    drift,
  };
}

/** The runs of all hosts and of the database as one list, newest first. Pure. */
export function joinHistory(
  answers: readonly StatusOfHost[],
  database: Pick<DatabaseStatus, 'runs'> | undefined,
): PastRun[] {
  const joined = new Map<string, PastRun>();
  for (const { host, status: found } of answers)
    for (const run of found?.runs ?? []) {
      const key = `${run.runId}.${run.attempt}.${run.task}`;
      const known = joined.get(key);
      const worse = known === undefined || run.outcome !== 'deployed' ? run.outcome : known.outcome;
      joined.set(key, {
        run: run.runId,
        attempt: run.attempt,
        task: run.task,
        outcome: worse,
        at: known && known.at < iso(run.at) ? known.at : iso(run.at),
        hosts: [...(known?.hosts ?? []), host],
        ...definedOnly({
          commit: run.sha ?? known?.commit,
          'duration-ms': longest(run.milliseconds, known?.['duration-ms']),
          url: run.url ?? known?.url,
        }),
      });
    }
  for (const row of database?.runs ?? []) {
    const own = [...joined.values()].filter(({ run, task }) => run === row.runId && task === 'deploy');
    for (const run of own) {
      if (row.outcome !== null) run.database = row.outcome;
      if (row.sha !== null) run.commit ??= row.sha;
    }
    if (own.length > 0) continue;
    joined.set(`${row.runId} database`, {
      run: row.runId,
      attempt: row.attempt ?? 1,
      task: 'migrate',
      outcome: row.outcome ?? 'unknown',
      at: iso(row.startedAt),
      hosts: [],
      ...definedOnly({
        commit: row.sha ?? undefined,
        'duration-ms': row.finishedAt === null ? undefined : row.finishedAt - row.startedAt,
        database: row.outcome ?? undefined,
      }),
    });
  }
  return [...joined.values()].sort((a, b) => (a.at < b.at ? 1 : -1));
}

function longest(a: number | undefined, b: number | undefined): number | undefined {
  return a === undefined || b === undefined ? (a ?? b) : Math.max(a, b);
}
