import { mkdirSync, mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import type { Settings } from '../../src/inputs/settings.js';
import { definedOnly } from '../../src/lib/defined-only.js';
import type { LogEntry } from '../../src/lib/log.js';
import type { Report } from '../../src/lib/report.js';
import { type EntryPoint, resolveInterruptedRun, runPipeline } from '../../src/pipeline/deploy.js';
import { type Addressed, type Inputs, type OnEntry, settingsFor } from './deployment.js';
import { query } from './postgres.js';
import { workerBundle } from './worker-bundle.js';

/** Whole deploys to servers and a database, in this process. */

/** A job's checkout that holds these migration files alone. */
export function jobWith(migrations: Readonly<Record<string, string>>): string {
  const folder = mkdtempSync(join(tmpdir(), 'muva-job-'));
  for (const [path, text] of Object.entries(migrations)) {
    const at = join(folder, 'supabase/migrations', path);
    mkdirSync(dirname(at), { recursive: true });
    writeFileSync(at, text);
  }
  return folder;
}

export interface WholeDeploy {
  servers: readonly Addressed[];
  databaseUrl: string;
  workingDirectory: string;
  inputs: Inputs;
  /** Sees every log entry as it comes, and may cancel the run at it. */
  onEntry?: OnEntry;
  /** Default 1. */
  attempt?: number;
  /** The start of the action; default a new one. */
  session?: string;
  patience?: EntryPoint['patience'];
}

export async function deployWhole(given: WholeDeploy): Promise<{ report: Report; log: LogEntry[] }> {
  const { entryPoint, log } = await entryPointOf(given);
  return { report: await runPipeline(settingsOf(given), entryPoint), log };
}

/** The post step of a run that was begun with this session; undefined where it has nothing to do. */
export async function postStep(
  given: WholeDeploy & { session: string; watching?: boolean },
): Promise<Report | undefined> {
  const { entryPoint } = await entryPointOf(given);
  return resolveInterruptedRun(settingsOf({ ...given, session: `${given.session}-post` }), entryPoint, {
    session: given.session,
    watching: given.watching === true,
  });
}

function settingsOf({
  servers,
  databaseUrl,
  workingDirectory,
  attempt = 1,
  session,
  ...given
}: WholeDeploy): Settings {
  const inputs: Inputs = {
    mode: 'deploy',
    'database-url': databaseUrl,
    'health-from': 'vps',
    'health-paths': '/api/health',
    ...given.inputs,
  };
  const settings = settingsFor(servers, inputs);
  const run = { ...settings.run, attempt, ...definedOnly({ session }) };
  return { ...settings, run, workingDirectory };
}

async function entryPointOf({
  onEntry,
  patience,
}: WholeDeploy): Promise<{ entryPoint: EntryPoint; log: LogEntry[] }> {
  const controller = new AbortController();
  const log: LogEntry[] = [];
  const entryPoint: EntryPoint = {
    log: (entry) => {
      log.push(entry);
      onEntry?.(entry, () => controller.abort());
    },
    signal: controller.signal,
    dist: await workerBundle(),
    ...definedOnly({ patience }),
  };
  return { entryPoint, log };
}

/** The phases that were begun, in their order. */
export function begunPhases({ phases }: Report): string[] {
  return phases.filter(({ outcome }) => outcome !== 'skipped').map(({ phase }) => phase);
}

/** All rows of all tables, the history and our own tables among them. */
export function wholeDatabase(url: string): Promise<unknown[]> {
  return query(
    url,
    `select n.nspname, c.relname, pg_catalog.query_to_xml(
       pg_catalog.format('select * from %I.%I', n.nspname, c.relname), true, true, '')::text as rows
     from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace
     where c.relkind in ('r', 'p') and n.nspname !~ '^pg_' and n.nspname <> 'information_schema' order by 1, 2`,
  );
}
