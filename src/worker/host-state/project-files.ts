import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { definedOnly } from '../../lib/defined-only.js';
import { readJson } from '../host/files.js';

/** What the root of a checkout holds, as far as it decides how to install and build. */
export interface ProjectFiles {
  files: ReadonlySet<string>;
  packageJson?: {
    packageManager?: string;
    scripts?: Record<string, string>;
    dependencies?: Record<string, string>;
    devDependencies?: Record<string, string>;
  };
}

/** The root of a checkout, as far as it decides how to install and build. */
export function readProject(folder: string): ProjectFiles {
  const files = new Set(readdirSync(folder));
  const packageJson = readJson<NonNullable<ProjectFiles['packageJson']>>(join(folder, 'package.json'));
  return { files, ...definedOnly({ packageJson }) };
}

export function usesNext({ packageJson }: ProjectFiles): boolean {
  return packageJson?.dependencies?.next !== undefined || packageJson?.devDependencies?.next !== undefined;
}
