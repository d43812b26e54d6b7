import { mkdirSync, mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import type { LogEntry } from '../../src/lib/log.js';
import type { Report } from '../../src/lib/report.js';
import { runPipeline } from '../../src/pipeline/deploy.js';
import { type Inputs, type OnEntry, type Reachable, settingsFor } from './deployment.js';
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
  servers: readonly Reachable[];
  databaseUrl: string;
  workingDirectory: string;
  inputs: Inputs;
  /** Sees every log entry as it comes, and may cancel the run at it. */
  onEntry?: OnEntry;
}

export async function deployWhole(given: WholeDeploy): Promise<{ report: Report; log: LogEntry[] }> {
  const { servers, databaseUrl, workingDirectory, onEntry } = given;
  const inputs: Inputs = {
    mode: 'deploy',
    'database-url': databaseUrl,
    'health-from': 'vps',
    'health-paths': '/api/health',
    ...given.inputs,
  };
  const controller = new AbortController();
  const log: LogEntry[] = [];
  const report = await runPipeline(
    { ...settingsFor(servers, inputs), workingDirectory },
    {
      log: (entry) => {
        log.push(entry);
        onEntry?.(entry, () => controller.abort());
      },
      signal: controller.signal,
      dist: await workerBundle(),
    },
  );
  return { report, log };
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
