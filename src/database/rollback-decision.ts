import type { RollbackSettings } from '../settings/settings.js';
import { byBytes } from './migration-files.js';

/** One migration that this action recorded. */
export interface RecordedMigration {
  version: string;
  name: string;
  runId: string;
  hasDown: boolean;
}

export interface RecordedRun {
  runId: string;
  sha?: string;
  outcome?: string;
}

/** What the database knows; nothing of it was judged. */
export interface RollbackLook {
  /** Every version in the history. */
  history: string[];
  /** The names in the history, by version; null where it holds none. */
  names: Record<string, string | null>;
  /** What this action applied and still stands in the history. */
  migrations: RecordedMigration[];
  /** Newest first. */
  runs: RecordedRun[];
  /** Files of which only a part is applied, because some of their statements cannot run in a transaction. */
  partial: { version: string; runId: string; done: number }[];
}

/** What is to be undone, before it is known whether it can be. */
export type RollbackTarget =
  | { kind: 'migrations'; versions: string[]; why: string }
  | { kind: 'nothing'; why: string }
  | { kind: 'unknown'; message: string; next: string };

/** The run's outcome in deploy_runs once it was undone. */
export const ROLLED_BACK = 'rolled-back';

/**
 * Finds the versions to undo, newest first. `livedSha` is the commit that served before the code went back in this
 * same rollback: where it is known, `previous` undoes the run that deployed it, and nothing where that run changed
 * no schema.
 */
export function chooseTarget(
  look: RollbackLook,
  wanted: Pick<RollbackSettings, 'steps' | 'to' | 'runId'>,
  livedSha?: string,
): RollbackTarget {
  if (wanted.steps !== undefined) return newest(look, wanted.steps);
  if (wanted.to === 'previous') return previous(look, livedSha);
  if (wanted.to !== undefined) return since(look, wanted.to);
  const versions = appliedBy(look, new Set([wanted.runId]));
  const undone = look.runs.find(({ runId }) => runId === wanted.runId)?.outcome === ROLLED_BACK;
  if (versions.length > 0) return { kind: 'migrations', versions, why: `run ${wanted.runId} applied them` };
  return {
    kind: 'nothing',
    why: undone
      ? `what run ${wanted.runId} changed is undone already`
      : `run ${wanted.runId} applied no migration`,
  };
}

function newest(look: RollbackLook, steps: number): RollbackTarget {
  const versions = [...look.history].sort(byBytes).reverse().slice(0, steps);
  return versions.length === 0
    ? { kind: 'nothing', why: 'no migration is applied' }
    : { kind: 'migrations', versions, why: `they are the newest ${versions.length}` };
}

function previous(look: RollbackLook, livedSha: string | undefined): RollbackTarget {
  const standing = look.runs.filter(({ outcome }) => outcome !== ROLLED_BACK);
  const run =
    livedSha === undefined
      ? standing[0]
      : standing.find(({ sha }) => sha !== undefined && same(sha, livedSha));
  if (!run)
    return {
      kind: 'nothing',
      why:
        livedSha === undefined
          ? 'no deploy is recorded in this database'
          : `the deploy of ${livedSha.slice(0, 7)} changed no schema`,
    };
  const versions = appliedBy(look, new Set([run.runId]));
  if (versions.length === 0)
    return { kind: 'nothing', why: `the newest deploy, run ${run.runId}, applied no migration` };
  return { kind: 'migrations', versions, why: `the newest deploy, run ${run.runId}, applied them` };
}

function since(look: RollbackLook, to: string): RollbackTarget {
  const at = look.runs.findIndex(
    ({ sha, outcome }) => outcome !== ROLLED_BACK && sha !== undefined && same(sha, to),
  );
  if (at === -1)
    return {
      kind: 'unknown',
      message: `no deploy of ${to} is recorded in this database, so it is not known which migrations came after it`,
      next: 'Name the migrations with rollback-steps, or keep the schema with rollback-database: keep.',
    };
  const later = new Set(look.runs.slice(0, at).map(({ runId }) => runId));
  const versions = appliedBy(look, later);
  return versions.length === 0
    ? { kind: 'nothing', why: `no migration was applied since the deploy of ${to}` }
    : { kind: 'migrations', versions, why: `they were applied since the deploy of ${to}` };
}

/** A commit and how a person or a release name writes it: a prefix of at least 7 digits, alone or after a dash. */
function same(sha: string, named: string): boolean {
  const word = named.slice(named.lastIndexOf('-') + 1).toLowerCase();
  return /^[0-9a-f]{7,64}$/.test(word) && (sha.startsWith(word) || word.startsWith(sha));
}

function appliedBy(look: RollbackLook, runs: ReadonlySet<string>): string[] {
  return look.migrations
    .filter(({ runId }) => runs.has(runId))
    .map(({ version }) => version)
    .sort(byBytes)
    .reverse();
}

export interface Split<T> {
  revert: T[];
  keep: T[];
  /** Why something is kept; undefined where nothing is. */
  why?: string;
}

/**
 * Newest first until the first migration without a down file: what is older than a migration that stays cannot go,
 * because the newer one may rest on it, and the history must not get a gap.
 */
export function splitAtIrreversible<T extends { version: string; down?: unknown }>(
  newestFirst: readonly T[],
): Split<T> {
  const at = newestFirst.findIndex(({ down }) => down === undefined);
  if (at === -1) return { revert: [...newestFirst], keep: [] };
  const first = newestFirst[at]!;
  const older = newestFirst.length - at - 1;
  return {
    revert: newestFirst.slice(0, at),
    keep: newestFirst.slice(at),
    why: `${first.version} has no down file${older > 0 ? `, and ${older} older ${older === 1 ? 'one stays' : 'ones stay'} below it` : ''}`,
  };
}

/** The runs of which every migration that still stands is undone: only they can be compared with their start. */
export function wholeRuns(
  look: RollbackLook,
  reverted: readonly string[],
): { whole: string[]; partly: string[] } {
  const gone = new Set(reverted);
  const touched = [
    ...new Set(look.migrations.filter(({ version }) => gone.has(version)).map(({ runId }) => runId)),
  ];
  const complete = (run: string): boolean =>
    look.migrations.every(({ runId, version }) => runId !== run || gone.has(version));
  return { whole: touched.filter(complete), partly: touched.filter((run) => !complete(run)) };
}
