import { definedOnly } from '../../lib/defined-only.js';
import type { Problem } from '../../lib/report.js';
import type { ProjectFiles } from '../host-state/project-files.js';

export interface Recipe {
  /** The program that must exist; undefined where commands were given. */
  packageManager?: 'pnpm' | 'npm' | 'yarn' | 'bun';
  install?: string;
  build?: string;
  refusal?: Problem;
}

const LOCK_FILES = [
  ['pnpm-lock.yaml', 'pnpm'],
  ['package-lock.json', 'npm'],
  ['npm-shrinkwrap.json', 'npm'],
  ['yarn.lock', 'yarn'],
  ['bun.lock', 'bun'],
  ['bun.lockb', 'bun'],
] as const;

/** The commands that install and build, from the lock file and package.json; given ones win. */
export function recipeOf(
  project: ProjectFiles,
  commands: { install?: string | undefined; build?: string | undefined },
): Recipe {
  const { files, packageJson } = project;
  if (!packageJson) {
    return definedOnly({ install: commands.install, build: commands.build });
  }
  const named = packageJson.packageManager?.split('@')[0];
  const locked = LOCK_FILES.filter(([file]) => files.has(file)).map(([, manager]) => manager);
  const packageManager = locked.find((manager) => manager === named) ?? locked[0];
  const dependencies = { ...packageJson.dependencies, ...packageJson.devDependencies };
  const needsInstall = Object.keys(dependencies).length > 0;
  if (commands.install === undefined && packageManager === undefined && needsInstall)
    return {
      refusal: {
        message:
          'The commit has dependencies but no lock file, so an install would not give the same tree twice.',
        next: 'Commit the lock file (pnpm-lock.yaml, package-lock.json, yarn.lock or bun.lock), or give install-command.',
      },
    };
  const yarn1 = packageJson.packageManager?.startsWith('yarn@1.') ?? false;
  const install = commands.install ?? (packageManager && installCommand(packageManager, files, yarn1));
  const build =
    commands.build ??
    (packageJson.scripts?.build === undefined ? undefined : `${packageManager ?? 'npm'} run build`);
  return definedOnly({ packageManager, install, build });
}

/**
 * Exactly what is locked, and nothing that is not needed: what lies in the store of the package manager is not asked for
 * again, because the lock file names it by its content.
 */
function installCommand(
  manager: 'pnpm' | 'npm' | 'yarn' | 'bun',
  files: ReadonlySet<string>,
  yarn1: boolean,
): string {
  switch (manager) {
    case 'npm':
      return 'npm ci --prefer-offline --no-audit --no-fund';
    case 'pnpm':
      return 'pnpm install --frozen-lockfile --prefer-offline';
    case 'yarn':
      if (files.has('.yarnrc.yml')) return 'yarn install --immutable';
      // The newer ones look into their cache first by themselves, and end at a flag that they do not know.
      return `yarn install --frozen-lockfile${yarn1 ? ' --prefer-offline' : ''}`;
    case 'bun':
      return 'bun install --frozen-lockfile';
  }
}
