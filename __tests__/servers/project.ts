/** A checkout with migrations in a temp folder, and runs of phases on it as the doors would start them. */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import type { Database } from '../../src/database/connection/connection.js';
import { openDatabase } from '../../src/database/connection/open.js';
import { type DatabasePlan, planDatabase } from '../../src/database/plan.js';
import { type InputName, withEnvironment } from '../../src/inputs/input-sources.js';
import { parseSettings } from '../../src/inputs/read.js';
import type { Settings } from '../../src/inputs/settings.js';
import { definedOnly } from '../../src/lib/defined-only.js';
import type { LogEntry } from '../../src/lib/log.js';
import type { PhaseReport } from '../../src/lib/report.js';
import { type MigrateOptions, migrate } from '../../src/pipeline/migrate.js';
import { plan } from '../../src/pipeline/plan.js';
import { planOrder } from '../../src/pipeline/plan-order.js';
import type { DatabaseWork } from '../../src/pipeline/tools.js';
import { type PostgresServer, query } from './postgres.js';
import { databaseWork, workWith } from './work.js';

export type Files = Readonly<Record<string, string | Buffer>>;

export interface Project {
  readonly folder: string;
  /** Writes files below supabase/migrations. */
  write(files: Files): void;
  remove(name: string): void;
  delete(): void;
}

/** Folders that a failed test left: removed when its process ends. */
const left = new Set<string>();
process.on('exit', () => {
  for (const folder of left) rmSync(folder, { recursive: true, force: true });
});

export function createProject(files: Files = {}): Project {
  const folder = mkdtempSync(join(tmpdir(), 'muva-project-'));
  left.add(folder);
  const migrations = join(folder, 'supabase', 'migrations');
  mkdirSync(migrations, { recursive: true });
  const project: Project = {
    folder,
    write(added) {
      for (const [name, content] of Object.entries(added)) {
        mkdirSync(dirname(join(migrations, name)), { recursive: true });
        writeFileSync(join(migrations, name), content);
      }
    },
    remove: (name) => rmSync(join(migrations, name)),
    delete() {
      left.delete(folder);
      rmSync(folder, { recursive: true, force: true });
    },
  };
  project.write(files);
  return project;
}

/** Gives a checkout with these migrations and a database of its own, and removes the checkout afterwards. */
export async function withProject(
  server: PostgresServer,
  files: Files,
  work: (url: string, project: Project) => Promise<void>,
): Promise<void> {
  const project = createProject(files);
  try {
    await work(await server.createDatabase(), project);
  } finally {
    project.delete();
  }
}

export type Inputs = Partial<Record<InputName, string>>;

export function settingsFor(project: Project, url: string, inputs: Inputs = {}, runId = '1001'): Settings {
  const given: Inputs = { mode: 'migrate', 'database-url': url, ...inputs };
  const parsed = parseSettings(
    withEnvironment((name) => given[name] ?? '', {}),
    {
      run: {
        id: runId,
        attempt: 1,
        url: `https://github.com/muva/demo/actions/runs/${runId}`,
        repository: 'muva/demo',
        serverUrl: 'https://github.com',
        sha: 'a'.repeat(40),
        actor: 'tester',
        fork: false,
      },
      terminal: false,
      workspace: project.folder,
      holdsMigrations: () => true,
    },
  );
  if (!parsed.settings) throw new Error(JSON.stringify(parsed.problems));
  return { ...parsed.settings, workingDirectory: project.folder };
}

export interface Ran {
  report: PhaseReport;
  log: LogEntry[];
}

export interface RunOptions extends MigrateOptions {
  inputs?: Inputs;
  runId?: string;
  signal?: AbortSignal;
  /** Stands between: a proxy's port, a recorder. */
  database?: Database;
  onLog?: (entry: LogEntry) => void;
}

/** Runs the migrate phase on a connection of its own. */
export async function runMigrate(project: Project, url: string, options: RunOptions = {}): Promise<Ran> {
  return withTools(project, url, options, async (work, log) => ({
    report: await migrate(work, options),
    log,
  }));
}

export async function runPlan(
  project: Project,
  url: string,
  options: RunOptions = {},
): Promise<DatabasePlan> {
  return withTools(project, url, options, (work) => planDatabase(work, planOrder(work.settings)));
}

/** Runs the plan phase, of mode `plan` unless told otherwise, on the database alone. */
export async function runPlanPhase(project: Project, url: string, options: RunOptions = {}): Promise<Ran> {
  const inputs: Inputs = { mode: 'plan', skip: 'vps, health', ...options.inputs };
  return withTools(project, url, { ...options, inputs }, async (work, log) => ({
    report: (await plan(workWith(work.settings, work))).report,
    log,
  }));
}

export async function withTools<T>(
  project: Project,
  url: string,
  options: RunOptions,
  work: (parts: DatabaseWork, log: LogEntry[]) => Promise<T>,
): Promise<T> {
  const settings = settingsFor(project, url, options.inputs, options.runId);
  const log: LogEntry[] = [];
  const tell = (entry: LogEntry): void => {
    log.push(entry);
    options.onLog?.(entry);
  };
  const database =
    options.database ??
    openDatabase(settings.database!.connection, {
      log: tell,
      label: `run ${settings.run.id}`,
      connectFor: 20_000,
    });
  try {
    return await work(
      databaseWork(settings, { log: tell, database, ...definedOnly({ signal: options.signal }) }),
      log,
    );
  } finally {
    await database.close();
  }
}

/** The versions in Supabase's history, in order; empty where there is no history. */
export async function history(url: string): Promise<string[]> {
  const [row] = await query<{ there: boolean }>(
    url,
    "select to_regclass('supabase_migrations.schema_migrations') is not null as there",
  );
  if (!row?.there) return [];
  const rows = await query<{ version: string }>(
    url,
    'select version from supabase_migrations.schema_migrations order by version collate "C"',
  );
  return rows.map(({ version }) => version);
}

/** All relations, functions and types in schema public, as text. */
export async function objects(url: string): Promise<string[]> {
  const rows = await query<{ name: string }>(
    url,
    `select relname as name from pg_class where relnamespace = 'public'::regnamespace
     union all select proname || '()' from pg_proc where pronamespace = 'public'::regnamespace order by 1`,
  );
  return rows.map(({ name }) => name);
}
