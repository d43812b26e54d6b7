import { createHash } from 'node:crypto';
import { readdirSync } from 'node:fs';
import { basename, join } from 'node:path';
import { WITHOUT_ENV_FILES } from '../../lib/build-output-names.js';
import { checkEnvText } from '../../lib/env-text.js';
import type { Problem } from '../../lib/report.js';
import { readText } from '../host/files.js';
import { howToOwn } from '../host/owner.js';
import { closeFoldersLike, copyWithRights } from '../host/permissions.js';
import type { Toolbox } from '../host/toolbox.js';
import { isEnvFile } from './classify.js';

const NEVER_LOOKED_INTO: ReadonlySet<string> = new Set(['.git', ...WITHOUT_ENV_FILES]);
const DEEPEST = 3;

/**
 * Environment files in a checkout, also in the packages of a monorepo; paths relative to it. Folders that may not be
 * looked into (the data of a database in a container) hold none.
 */
export function findEnvFiles(root: string, below = '', depth = 0): string[] {
  const found: string[] = [];
  for (const item of readable(() => readdirSync(join(root, below), { withFileTypes: true })) ?? []) {
    const path = join(below, item.name);
    if (item.isDirectory()) {
      if (depth < DEEPEST && !NEVER_LOOKED_INTO.has(item.name))
        found.push(...findEnvFiles(root, path, depth + 1));
    } else if (isEnvFile(item.name)) found.push(path);
  }
  return found.sort();
}

/** The text of an environment file; undefined where it is not there or may not be read. */
export function readEnvFile(root: string, path: string): string | undefined {
  return readable(() => readText(join(root, path)));
}

/** What was read; undefined where this user may not. */
function readable<T>(read: () => T): T | undefined {
  try {
    return read();
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EACCES') return undefined;
    throw error;
  }
}

/** What a run does about environment files itself. */
export interface EnvRun {
  /** The file that it writes, whatever the host has. */
  writes?: string;
  /** A person named the commit. */
  explicit: boolean;
}

/**
 * Problems of the host's own environment files: those that the last deploy knew and that are gone, torn ones, and
 * those that cannot be read.
 */
export function judgeHostEnvFiles(
  root: string,
  found: readonly string[],
  known: readonly string[],
  run: EnvRun,
): Problem[] {
  const problems: Problem[] = [];
  const own = (path: string): boolean => path !== run.writes && isEnvFile(basename(path));
  for (const path of known.filter(own))
    if (!found.includes(path) && !run.explicit)
      problems.push({
        message: `${path} was on the server at the last deploy and is missing now.`,
        next: 'Put it back in the checkout, or give its content with env-file and env-file-path. To deploy without it, name the commit with ref.',
      });
  for (const path of found.filter(own)) {
    const text = readEnvFile(root, path);
    if (text === undefined) {
      problems.push({
        message: `${path} on the server cannot be read by the user who deploys.`,
        next: `Give its content with env-file and env-file-path, or: ${howToOwn(join(root, path))}`,
      });
      continue;
    }
    const why = checkEnvText(text);
    if (why !== undefined && why !== 'is empty')
      problems.push({
        message: `${path} on the server looks half written: ${why}.`,
        next: 'Correct the file, or give its content with env-file and env-file-path.',
      });
  }
  return problems;
}

/** A fingerprint of environment files, by which a change of any of them is seen; `texts` by their paths. */
export function envDigest(texts: Readonly<Record<string, string | undefined>>): string {
  const hash = createHash('sha256');
  for (const path of Object.keys(texts).sort()) hash.update(JSON.stringify([path, texts[path]]));
  return hash.digest('hex');
}

/** Environment files with their texts, as `envDigest` takes them. */
export function readEnvFiles(root: string, paths: readonly string[]): Record<string, string | undefined> {
  return Object.fromEntries(paths.map((path) => [path, readEnvFile(root, path)]));
}

/**
 * Copies environment files into the folder of a version, readable for whom they are now, behind folders that let nobody
 * else in. Resolves to what could not be kept of which file.
 */
export async function carryEnvFiles(
  tools: Toolbox,
  from: string,
  to: string,
  paths: readonly string[],
): Promise<{ path: string; lost: string[] }[]> {
  const carried: { path: string; lost: string[] }[] = [];
  for (const path of paths) {
    await closeFoldersLike(tools, from, to, path);
    carried.push({ path, lost: await copyWithRights(tools, join(from, path), join(to, path)) });
  }
  return carried.filter(({ lost }) => lost.length > 0);
}

/** What a person is told of a file that fewer users can read in the new version. */
export function lessOpenWords({ path, lost }: { path: string; lost: readonly string[] }): Problem {
  return {
    message: `${path} is readable by fewer users in the new version than in the live one: it could not keep ${lost.join(' and ')}.`,
    next: 'Where another user than the one who deploys reads it: let the one who deploys be a member of its group, and let that group read it.',
  };
}
