import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { runProgram } from '../../lib/local-programs.js';
import { type WorkflowFacts, workflowFacts } from './workflow-facts.js';

/** What lies in a project that a workflow for it should know. */
export interface ProjectFacts {
  readonly workflows: readonly WorkflowFacts[];
  readonly ecosystem?: { readonly file: string; readonly apps: readonly EcosystemApp[] };
  /** Lock files of package managers. */
  readonly lockFiles: readonly string[];
  /** There is a package.json. */
  readonly packages: boolean;
  /** Whether a file speaks of /api/health; undefined where git cannot be asked. */
  readonly healthRoute?: boolean;
  readonly migrations?: { readonly folder: string; readonly count: number; readonly newest: string };
}

export interface EcosystemApp {
  readonly name?: string;
  readonly script?: string;
  readonly cwd?: string;
}

const LOCK_FILES = [
  'package-lock.json',
  'npm-shrinkwrap.json',
  'pnpm-lock.yaml',
  'yarn.lock',
  'bun.lock',
  'bun.lockb',
];
const ECOSYSTEM_FILES = ['ecosystem.config.js', 'ecosystem.config.cjs', 'ecosystem.config.json'];
const MIGRATION_FOLDERS = ['supabase/migrations', 'migrations', 'db/migrations'];
/** Milliseconds for a file of the project's own that says what PM2 is to run. */
const ECOSYSTEM_TIMEOUT = 10_000;

/** Looks at a project: `root`, where its workflows lie, and `folder`, where the application does. Never fails. */
export async function readProjectFacts(root: string, folder: string): Promise<ProjectFacts> {
  const [workflows, ecosystem, healthRoute] = await Promise.all([
    readWorkflows(root),
    readEcosystemFile(folder),
    speaksOfHealth(folder),
  ]);
  const migrations = findMigrations(folder);
  return {
    workflows,
    ...(ecosystem === undefined ? {} : { ecosystem }),
    lockFiles: LOCK_FILES.filter((name) => existsSync(join(folder, name)) || existsSync(join(root, name))),
    packages: existsSync(join(folder, 'package.json')),
    ...(healthRoute === undefined ? {} : { healthRoute }),
    ...(migrations === undefined ? {} : { migrations }),
  };
}

async function readWorkflows(root: string): Promise<WorkflowFacts[]> {
  const names = entries(join(root, '.github/workflows')).filter((name) => /\.ya?ml$/.test(name));
  if (names.length === 0) return [];
  const { parse } = await import('yaml');
  return names.toSorted().flatMap((name) => {
    try {
      const text = readFileSync(join(root, '.github/workflows', name), 'utf8');
      return [workflowFacts(`.github/workflows/${name}`, parse(text, { logLevel: 'silent' }))];
    } catch {
      // What GitHub could not read either says nothing.
      return [];
    }
  });
}

/** Runs the file as PM2 would, because it is a program; what it says beside its value is not shown. */
async function readEcosystemFile(folder: string): Promise<ProjectFacts['ecosystem']> {
  const file = ECOSYSTEM_FILES.find((name) => existsSync(join(folder, name)));
  if (file === undefined) return undefined;
  const program = `const all = require(${JSON.stringify(join(folder, file))}); process.stdout.write('\\n' + JSON.stringify(all.apps ?? all));`;
  try {
    const options = { cwd: folder, timeout: ECOSYSTEM_TIMEOUT };
    const { code, stdout } = await runProgram([process.execPath, '-e', program], options);
    if (code !== 0) return { file, apps: [] };
    const apps: unknown = JSON.parse(stdout.slice(stdout.lastIndexOf('\n') + 1));
    const list: unknown[] = Array.isArray(apps) ? apps : [apps];
    return { file, apps: list.filter((app) => typeof app === 'object' && app !== null).map(appOf) };
  } catch {
    return { file, apps: [] };
  }
}

function appOf(app: object): EcosystemApp {
  const text = (name: string): string | undefined => {
    const value: unknown = Reflect.get(app, name);
    return typeof value === 'string' && value !== '' ? value : undefined;
  };
  const [name, script, cwd] = ['name', 'script', 'cwd'].map(text);
  return {
    ...(name === undefined ? {} : { name }),
    ...(script === undefined ? {} : { script }),
    ...(cwd === undefined ? {} : { cwd }),
  };
}

/** A route is a path of that name, or a text in a server of one's own. */
async function speaksOfHealth(folder: string): Promise<boolean | undefined> {
  const asked = async (...words: string[]): Promise<{ code: number | null; stdout: string } | undefined> =>
    runProgram(['git', '-C', folder, ...words]).catch(() => undefined);
  const files = await asked('ls-files', '--cached', '--others', '--exclude-standard', '.');
  if (files?.code !== 0) return undefined;
  if (/(?:^|\/)api\/health(?:[./]|$)/m.test(files.stdout)) return true;
  const named = await asked(
    'grep',
    '--untracked',
    '-q',
    '-e',
    '/api/health',
    '--',
    '*.js',
    '*.ts',
    '*.mjs',
    '*.cjs',
    '*.tsx',
  );
  return named?.code === 0;
}

function findMigrations(folder: string): ProjectFacts['migrations'] {
  for (const name of MIGRATION_FOLDERS) {
    const files = entries(join(folder, name)).filter((file) => /^\d+_.*(?<!\.down)\.sql$/.test(file));
    const newest = files.toSorted().at(-1)?.split('_')[0];
    if (newest !== undefined) return { folder: name, count: files.length, newest };
  }
  return undefined;
}

function entries(folder: string): string[] {
  try {
    return readdirSync(folder);
  } catch {
    return [];
  }
}
