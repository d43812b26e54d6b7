import { shortenList } from '../../lib/shorten-list.js';
import type { RecordedRun } from '../history/history-message.js';
import { byBytes } from '../migrations/migration-files.js';

/** One migration that this action recorded. */
interface RecordedMigration {
  version: string;
  name: string;
  runId: string;
  hasDown: boolean;
}

/** What the database knows; nothing of it was judged. */
export interface RollbackHistory {
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
  /** The environment that deployed to this database last; null where none did. */
  environment: string | null;
}

/** What a person, or a deploy that failed, wants undone. */
export interface RollbackWish {
  /** The newest migrations, by their number. */
  readonly steps?: number;
  /** `previous`, a commit, or a release: what came after it. */
  readonly to?: string;
  /** What this run changed, where neither is said. */
  readonly runId: string;
}

/** What is to be undone, before it is known whether it can be. */
export type RollbackTarget =
  /** `above`: versions that are newer than the oldest of these and are not to be undone; a gap must not come about. */
  | { kind: 'migrations'; versions: string[]; above: string[] }
  | { kind: 'nothing'; why: string }
  /** It is not known what to undo, or undoing it alone would leave a gap in the history. */
  | { kind: 'refused'; message: string; next: string };

/** The run's outcome in deploy_runs once it was undone. */
export const ROLLED_BACK = 'rolled-back';

/**
 * Finds the versions to undo, newest first. `runs`: the runs whose code goes back in the same rollback, as the servers
 * know them; without it the database is rolled back alone, by what it knows itself.
 */
export function chooseTarget(
  look: RollbackHistory,
  wanted: RollbackWish,
  runs?: readonly string[],
): RollbackTarget {
  if (wanted.steps !== undefined) return newest(look, wanted.steps);
  if (runs !== undefined) return ofRuns(look, runs);
  const target =
    wanted.to === undefined
      ? ofRuns(look, [wanted.runId])
      : wanted.to === 'previous'
        ? previous(look)
        : since(look, wanted.to);
  if (target.kind !== 'migrations' || target.above.length === 0) return target;
  return {
    kind: 'refused',
    message: `${shortenList(target.versions)} cannot be undone alone: ${shortenList(target.above)} came later and would be left above a gap`,
    next: 'Undo the later ones too: name them with rollback-steps, or an older commit with rollback-to.',
  };
}

function newest(look: RollbackHistory, steps: number): RollbackTarget {
  const versions = newestFirst(look.history).slice(0, steps);
  return versions.length === 0
    ? { kind: 'nothing', why: 'no migration is applied' }
    : { kind: 'migrations', versions, above: [] };
}

/** What the runs applied and still stands. */
function ofRuns(look: RollbackHistory, runs: readonly string[]): RollbackTarget {
  const versions = newestFirst(
    look.migrations.filter(({ runId }) => runs.includes(runId)).map(({ version }) => version),
  );
  if (versions.length > 0) return withWhatStandsAbove(look, versions);
  const undone = look.runs.some(({ runId, outcome }) => runs.includes(runId) && outcome === ROLLED_BACK);
  const names = runs.length === 1 ? `run ${runs[0]}` : `runs ${runs.join(', ')}`;
  if (runs.length === 0) return { kind: 'nothing', why: 'no deploy came after what is live' };
  return {
    kind: 'nothing',
    why: undone ? `what ${names} changed is undone already` : `${names} applied no migration`,
  };
}

function withWhatStandsAbove(look: RollbackHistory, versions: string[]): RollbackTarget {
  const oldest = versions[versions.length - 1]!;
  const above = newestFirst(look.history).filter(
    (version) => byBytes(version, oldest) > 0 && !versions.includes(version),
  );
  return { kind: 'migrations', versions, above };
}

function previous(look: RollbackHistory): RollbackTarget {
  const run = look.runs.find(({ outcome }) => outcome !== ROLLED_BACK);
  return run ? ofRuns(look, [run.runId]) : { kind: 'nothing', why: 'no deploy is recorded in this database' };
}

function since(look: RollbackHistory, to: string): RollbackTarget {
  const at = look.runs.findIndex(
    ({ sha, outcome }) => outcome !== ROLLED_BACK && sha !== null && same(sha, to),
  );
  if (at === -1)
    return {
      kind: 'refused',
      message: `no deploy of ${to} is recorded in this database, so it is not known which migrations came after it`,
      next: 'Name the migrations with rollback-steps, or keep the schema with rollback-database: keep.',
    };
  const target = ofRuns(
    look,
    look.runs.slice(0, at).map(({ runId }) => runId),
  );
  return target.kind === 'nothing'
    ? { kind: 'nothing', why: `no migration was applied since the deploy of ${to}` }
    : target;
}

function newestFirst(versions: readonly string[]): string[] {
  return [...versions].sort(byBytes).reverse();
}

/** A commit and how a person or a release name writes it: a prefix of at least 7 digits, alone or after a dash. */
function same(sha: string, named: string): boolean {
  const word = named.slice(named.lastIndexOf('-') + 1).toLowerCase();
  return /^[0-9a-f]{7,64}$/.test(word) && (sha.startsWith(word) || word.startsWith(sha));
}

export interface Split<T> {
  revert: T[];
  keep: T[];
  /** Why something is kept; undefined where nothing is. */
  why?: string;
}

/**
 * What of the wanted versions can go, newest first: until the first that has no down file, or that a version stays
 * above which is not to be undone. What is older than one that stays cannot go: the newer one may rest on it, and the
 * history must not get a gap.
 */
export function splitAtIrreversible<T extends { version: string; down?: unknown }>(
  newestFirst: readonly T[],
  above: readonly string[] = [],
): Split<T> {
  const stays = ({ version, down }: T): boolean =>
    down === undefined || above.some((other) => byBytes(other, version) > 0);
  const at = newestFirst.findIndex(stays);
  if (at === -1) return { revert: [...newestFirst], keep: [] };
  const first = newestFirst[at]!;
  const older = newestFirst.length - at - 1;
  const below = older > 0 ? `, and ${older} older ${older === 1 ? 'one stays' : 'ones stay'} below it` : '';
  const cause =
    first.down === undefined
      ? `${first.version} has no down file`
      : `${shortenList(above)} came after ${first.version} and ${above.length === 1 ? 'stays' : 'stay'} above it`;
  return { revert: newestFirst.slice(0, at), keep: newestFirst.slice(at), why: `${cause}${below}` };
}

/** The runs of which every migration that still stands is undone: only they can be compared with their start. */
export function wholeRuns(
  look: RollbackHistory,
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
