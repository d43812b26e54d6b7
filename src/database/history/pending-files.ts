import { basename } from 'node:path';
import { emptyConnection } from '../../lib/empty-connection.js';
import type { Problem } from '../../lib/report.js';
import { shortenList } from '../../lib/shorten-list.js';
import { byBytes, type MigrationFile } from '../migrations/migration-files.js';
import { identifier } from '../sql/sql-text.js';
import type { HistoryReport } from './migration-history.js';
import { isEdited, neverRun } from './same-version.js';
import { formatProblems } from './table-formats.js';

/** What is allowed of the files, compared with the history. */
export interface FileRules {
  /** A file may be older than the newest that is applied. */
  readonly includeAll: boolean;
  readonly missingMigrations: 'refuse' | 'warn';
  readonly editedMigrations: 'warn' | 'refuse' | 'allow';
  readonly irreversibleMigrations: 'allow' | 'refuse';
  /** The only folder of down files, where it is set. */
  readonly downDir?: string;
  /** Up to this version files count as applied, until it is recorded. */
  readonly baseline?: string;
}

/** Who deploys. */
export interface Identity {
  environment: string | undefined;
  adoptEnvironment: boolean;
  repository: string | undefined;
  /** The run would deploy to a server too, but is given none and was not told to leave it out. */
  serverMissing: boolean;
}

/** Which files are to be applied, and what speaks against it. */
export interface Pending {
  /** To be applied now, in order. */
  pending: MigrationFile[];
  /** From the first file marked `-- deploy: after-health` on: they wait until health has passed. */
  deferred: MigrationFile[];
  /** To be recorded as applied without being run. */
  baseline: MigrationFile[];
  /** Applied files whose text is no longer what was recorded. */
  edited: MigrationFile[];
  /** Recorded versions that have no file. */
  missing: HistoryReport['recorded'];
  warnings: Problem[];
  refusals: Problem[];
}

/** Compares files and history. `contract`: the files for after health are due too, so nothing is deferred. */
export function choosePending(
  files: readonly MigrationFile[],
  look: HistoryReport,
  rules: FileRules,
  identity: Identity,
  contract: boolean,
): Pending {
  const present = new Set(files.map((file) => file.version));
  const result: Pending = {
    pending: [],
    deferred: [],
    baseline: [],
    edited: [],
    missing: look.recorded.filter((row) => !present.has(row.version)),
    warnings: [],
    refusals: [],
  };
  const recorded = new Map(look.recorded.map((row) => [row.version, row]));
  const counted = countedAsApplied(rules, recorded);
  for (const file of files) {
    const row = recorded.get(file.version);
    if (row) {
      const other = neverRun(file, row);
      if (other) result.refusals.push(other);
      else if (file.unreadable) result.warnings.push(file.unreadable);
      else if (isEdited(file, row)) result.edited.push(file);
    } else if (counted(file.version)) countAsApplied(file, result);
    else if (file.unreadable) result.refusals.push(file.unreadable);
    else if (result.deferred.length > 0 || (file.afterHealth && !contract)) result.deferred.push(file);
    else result.pending.push(file);
  }
  result.refusals.push(...sameVersions([...result.pending, ...result.deferred]));
  result.refusals.push(...wrongMarkers([...result.pending, ...result.deferred]));
  result.refusals.push(...formatProblems(look.formats));
  checkEnvironment(look, identity, result);
  checkServer(look, identity, result);
  checkOrder(look, rules, result);
  checkBaseline(files, rules, result);
  if (rules.irreversibleMigrations === 'refuse')
    result.refusals.push(...irreversible([...result.pending, ...result.deferred], rules));
  checkRights(look, result);
  return result;
}

/** Nobody runs it any more, so what is wrong with it stops nothing; but a version is recorded once. */
function countAsApplied(file: MigrationFile, { baseline, warnings }: Pending): void {
  if (file.unreadable) warnings.push(file.unreadable);
  else if (baseline.some(({ version }) => version === file.version))
    warnings.push(...sameVersions([...baseline, file]));
  else baseline.push(file);
}

/** One problem for each file that has the version of one before it. */
export function sameVersions(files: readonly MigrationFile[]): Problem[] {
  const byVersion = new Map<string, MigrationFile>();
  return files.flatMap((file) => {
    const other = byVersion.get(file.version);
    byVersion.set(file.version, file);
    if (other === undefined) return [];
    return [
      {
        message: `${basename(other.file)} and ${basename(file.file)} have the same version ${file.version}`,
        at: { file: file.file, line: 1, column: 1 },
        next: 'Give one of them a later version; where one is applied already, rename the other.',
      },
    ];
  });
}

/**
 * Whether a version counts as applied by `baseline`. Only until the baseline itself is recorded: a file that comes
 * later with an older version was never run, also where the input still stands in the workflow.
 */
export function countedAsApplied(
  { baseline }: Pick<FileRules, 'baseline'>,
  recorded: { has(version: string): boolean },
): (version: string) => boolean {
  if (baseline === undefined || recorded.has(baseline)) return () => false;
  return (version) => byBytes(version, baseline) <= 0;
}

function checkEnvironment(
  look: HistoryReport,
  { environment, adoptEnvironment }: Identity,
  result: Pending,
): void {
  if (look.environment === null || environment === undefined || look.environment === environment) return;
  if (adoptEnvironment)
    result.warnings.push({
      message: `this database was deployed to as "${look.environment}" and is now taken over as "${environment}"`,
    });
  else
    result.refusals.push({
      message: `this database belongs to the environment "${look.environment}", not "${environment}"`,
      next: 'Check the connection secrets of this environment. Where the name has really changed, say adopt-environment: true once.',
    });
}

/** A secret that is not set must not switch the server off silently. */
function checkServer(
  { withServer }: HistoryReport,
  { environment, repository, serverMissing }: Identity,
  result: Pending,
): void {
  if (!serverMissing || withServer === null || environment === undefined) return;
  if (withServer.environment !== environment || withServer.repository !== (repository ?? null)) return;
  result.refusals.push(
    emptyConnection(
      'ssh-host',
      `The last deploy of "${environment}" to this database deployed to a server too. Set the secret, or say skip: vps.`,
    ),
  );
}

function checkOrder(look: HistoryReport, rules: FileRules, result: Pending): void {
  const newest = look.recorded[look.recorded.length - 1]?.version;
  if (newest === undefined || rules.includeAll) return;
  for (const file of [...result.pending, ...result.deferred]) {
    if (byBytes(file.version, newest) > 0) continue;
    const below = rules.baseline !== undefined && byBytes(file.version, rules.baseline) <= 0;
    result.refusals.push({
      message: `${basename(file.file)} is older than ${newest}, which is applied already${below ? `; the baseline ${rules.baseline} is recorded, so nothing more counts into it` : ''}`,
      at: { file: file.file, line: 1, column: 1 },
      next: `Rename it to a newer version, or say include-all: true where it does not depend on the order.${below ? ` Where its changes are in the database already: supabase migration repair --status applied ${file.version}.` : ''}`,
    });
  }
}

function checkBaseline(files: readonly MigrationFile[], rules: FileRules, result: Pending): void {
  const { baseline } = rules;
  if (baseline === undefined) return;
  if (!files.some((file) => file.version === baseline))
    result.refusals.push({
      message: `baseline: no migration file has the version ${baseline}`,
      next: 'Give the version of the newest file whose changes are in the database already.',
    });
  else if (result.baseline.length > 0)
    result.warnings.push({
      message: `${result.baseline.length} files up to ${baseline} are recorded as applied without being run (baseline)`,
      next: 'Nothing has to be done. After the deploy the line does nothing, and is better taken out.',
    });
}

/** A comment that was meant to hold a file back must not be passed over. */
export function wrongMarkers(files: readonly MigrationFile[]): Problem[] {
  return files.flatMap((file) => file.wrongMarkers ?? []);
}

/** One problem for each file that has no down file. */
export function irreversible(
  files: readonly MigrationFile[],
  { downDir }: { readonly downDir?: string },
): Problem[] {
  const placed = (file: string): string => (downDir === undefined ? file : `${downDir}/${basename(file)}`);
  return files
    .filter((file) => !file.down)
    .map(({ file }) => ({
      message: `${basename(file)} has no down file`,
      at: { file, line: 1, column: 1 },
      next: `Add ${placed(file).replace(/\.sql$/, '.down.sql')}, or leave out irreversible-migrations: refuse.`,
    }));
}

function checkRights(look: HistoryReport, result: Pending): void {
  const problem = rightsProblem(look);
  if (result.pending.length + result.deferred.length + result.baseline.length === 0) {
    // Nothing is to be written; but what cannot be seen was not compared either.
    if (problem && look.missingRights.some((right) => right.includes('row level security')))
      result.warnings.push(problem);
    return;
  }
  if (look.readOnly)
    result.refusals.push({
      message: 'this database is a read replica',
      code: '25006',
      next: 'Use the URL of the primary database.',
    });
  if (problem) result.refusals.push(problem);
}

function rightsProblem({ missingRights, role, owner }: HistoryReport): Problem | undefined {
  if (missingRights.length === 0) return undefined;
  return {
    message: `the role may not write the migration history: it lacks ${shortenList(missingRights)}`,
    code: '42501',
    next:
      owner === null || owner === role
        ? 'Use the role that owns the migrations (postgres on Supabase), or grant these rights.'
        : `Deploy as the role that owns the history, ${owner}; or let ${role} act for it: grant ${identifier(owner)} to ${identifier(role)};`,
  };
}
