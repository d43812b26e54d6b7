import { existsSync } from 'node:fs';
import { join } from 'node:path';
import type { Problem } from '../../lib/report.js';
import { countedAsApplied, type FileRules } from '../history/pending-files.js';
import { neverRun, type RecordedText } from '../history/same-version.js';
import { type MigrationFile, readMigrationFiles } from '../migrations/migration-files.js';
import type { JudgedFact } from './schema-facts.js';

interface Rules extends Pick<FileRules, 'missingMigrations' | 'baseline'> {
  readonly migrationsDir: string;
  readonly downDir?: string;
}

/** Whether the recorded history and the files in the checkout are the same; `history` undefined: not readable. */
export async function compareHistory(
  workingDirectory: string,
  rules: Rules,
  history: readonly RecordedText[] | undefined,
): Promise<JudgedFact> {
  const name = 'history equals the files';
  const calm = (detail: string): JudgedFact => ({ name, passed: true, detail, problems: [], warnings: [] });
  if (history === undefined) return calm('not compared: this login may not read the history');
  if (!existsSync(join(workingDirectory, rules.migrationsDir)))
    return calm(`not compared: there is no ${rules.migrationsDir} here`);
  const { files, problems } = await readMigrationFiles(workingDirectory, rules);
  if (problems.length > 0) return { name, passed: false, problems, warnings: [] };
  return judgeHistory(files, history, rules);
}

/** A recorded version without a file follows missing-migrations; a file that is not applied yet is told. */
export function judgeHistory(
  files: readonly MigrationFile[],
  history: readonly RecordedText[],
  rules: Pick<Rules, 'missingMigrations' | 'baseline'>,
): JudgedFact {
  const there = new Set(files.map(({ version }) => version));
  const recorded = new Map(history.map((row) => [row.version, row]));
  const missing = history.map(({ version }) => version).filter((version) => !there.has(version));
  const others = files.flatMap((file) => {
    const row = recorded.get(file.version);
    return (row && neverRun(file, row)) ?? [];
  });
  const counted = countedAsApplied(rules, recorded);
  const waiting = files.filter(({ version }) => !recorded.has(version) && !counted(version));
  // Files from the first one marked `-- deploy: after-health` on are meant to wait.
  const late = waiting.findIndex(({ afterHealth }) => afterHealth);
  const due = late === -1 ? waiting : waiting.slice(0, late);
  const problem: Problem = {
    message: `recorded as applied, but without a file: ${missing.join(', ')}`,
    next: 'Fetch the files (supabase migration fetch) rather than delete the rows; or say missing-migrations: warn.',
  };
  const pending: Problem = {
    message: `not applied yet: ${due.map(({ file }) => file).join(', ')}`,
    next: 'Run mode migrate or deploy.',
  };
  const refused = missing.length > 0 && rules.missingMigrations === 'refuse';
  return {
    name: 'history equals the files',
    passed: !refused && others.length === 0,
    detail: [
      `${history.length} applied`,
      missing.length > 0 ? `${missing.length} without a file` : '',
      waiting.length > 0 ? `${waiting.length} not applied yet` : '',
    ]
      .filter((part) => part !== '')
      .join(', '),
    problems: [...(refused ? [problem] : []), ...others],
    warnings: [...(missing.length > 0 && !refused ? [problem] : []), ...(due.length > 0 ? [pending] : [])],
  };
}
