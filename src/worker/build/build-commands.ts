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
  const install = commands.install ?? (packageManager && installCommand(packageManager, files));
  const build =
    commands.build ??
    (packageJson.scripts?.build === undefined ? undefined : `${packageManager ?? 'npm'} run build`);
  return definedOnly({ packageManager, install, build });
}

function installCommand(manager: 'pnpm' | 'npm' | 'yarn' | 'bun', files: ReadonlySet<string>): string {
  if (manager === 'npm') return 'npm ci --no-audit --no-fund';
  if (manager === 'yarn' && files.has('.yarnrc.yml')) return 'yarn install --immutable';
  return `${manager} install --frozen-lockfile`;
}
