import type { Settings } from '../inputs/settings.js';
import { tellsOfMissing } from '../lib/missing-schema.js';
import type { Problem } from '../lib/report.js';

/** What is said where a build asks the database, which is changed only after it. Pure. */

/** The problems of a build, with the input that helps where it asked for what the pending migrations make. */
export function withMigrateBefore(problems: readonly Problem[]): Problem[] {
  return problems.map((problem) =>
    tellsOfMissing(problem.message)
      ? {
          ...problem,
          next: 'The build asks for a table or column that the pending migrations may make, and they are committed only after it. Say migrate-before: build, or let the build do without the database.',
        }
      : problem,
  );
}

/** Names of an env file with which a build reaches the database. */
const REACHES = /^[ \t]*(?:export[ \t]+)?(DATABASE_URL|\w*SUPABASE\w*(?:KEY|URL))[ \t]*=[ \t]*\S/gm;

/** Which of them stand in the env file that the build is given, each once. */
export function databaseNamesIn(envFile: string): string[] {
  return [...new Set([...envFile.matchAll(REACHES)].map(([, name]) => name ?? ''))];
}

/** Why the order that is asked for cannot be kept. */
export function orderRefusals({ database, vps }: Settings): Problem[] {
  if (database?.migrateBefore !== 'build' || vps?.buildOn !== 'runner') return [];
  return [
    {
      message:
        'migrate-before: build does nothing with build-on: runner: the build is made before this step.',
      next: 'Migrate in a step before the build (mode: migrate), and leave migrate-before out here.',
    },
  ];
}

/** What a plan warns of where migrations are pending and the build can ask the database. */
export function orderWarnings({ database, vps }: Settings, pending: number): Problem[] {
  if (pending === 0 || database?.migrateBefore !== 'cutover' || vps?.envFile === undefined) return [];
  const names = databaseNamesIn(vps.envFile.reveal());
  if (names.length === 0) return [];
  return [
    {
      message: `the build can ask the database (${names.join(', ')} in env-file), and it runs before the pending migrations are committed`,
      next: 'A static build may swallow the errors and make empty pages. If it reads the new schema, say migrate-before: build.',
    },
  ];
}
