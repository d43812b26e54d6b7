import { basename } from 'node:path';
import { isLitter, isUsualOutput, USUAL_OUTPUT } from '../../lib/build-output-names.js';
import { isInside } from '../../lib/paths.js';
import { isWithinAny } from './paths.js';

/** What SQLite keeps beside a database while a program has it open: it has to go with it. */
export const COMPANIONS = ['-wal', '-shm', '-journal'];

/**
 * Whose a path of the application is on the server.
 * `deploy`: the file in which a deploy writes which commit it is.
 * `tracked`: the commit's own.
 * `shared`: in a shared path. `companion`: what SQLite keeps beside one, or beside named output.
 * `env`: an environment file of which it is known that it is one. `env-like`: what has the name of one.
 * `named`: in build-output. `usual`: output by its name alone. `made`: as a build of ours left it.
 * `litter`: what nobody misses.
 * `people`: nothing says that it is anybody else's, so it may be the only copy of somebody's data.
 */
export type Owner =
  | 'deploy'
  | 'tracked'
  | 'shared'
  | 'companion'
  | 'env'
  | 'env-like'
  | 'named'
  | 'usual'
  | 'made'
  | 'litter'
  | 'people';

/** What was found, and what the request names; what does not bear on a question is left out. */
export interface FoundPaths {
  tracked?: ReadonlySet<string>;
  /** Tracked files that differ from the commit. */
  changed?: ReadonlySet<string>;
  sharedPaths?: readonly string[];
  envFiles?: readonly string[];
  buildOutput?: readonly string[];
  /** True where the path is as a build of ours left it. Asked last: it may have to be read. */
  isAsMade?: (path: string) => boolean;
}

/** Whose a path is. The first that fits: what is the commit's, then what the request names, then what names tell. Pure. */
export function classifyPath(path: string, found: FoundPaths): Owner {
  const { tracked, changed, sharedPaths = [], envFiles = [], buildOutput = [], isAsMade } = found;
  if (path === 'REVISION') return 'deploy';
  if (tracked?.has(path) && !changed?.has(path)) return 'tracked';
  if (tracked?.has(path)) return isAsMade?.(path) ? 'made' : 'people';
  if (isWithinAny(path, sharedPaths)) return 'shared';
  if (isWithinAny(path, envFiles)) return 'env';
  if (isWithinAny(path, buildOutput)) return 'named';
  if (isUsualOutput(path)) return 'usual';
  if (isEnvFile(basename(path))) return 'env-like';
  if (isCompanion(path, [...sharedPaths, ...buildOutput])) return 'companion';
  if (isLitter(path)) return 'litter';
  return isAsMade?.(path) ? 'made' : 'people';
}

function isCompanion(path: string, owned: readonly string[]): boolean {
  return COMPANIONS.some(
    (suffix) => path.endsWith(suffix) && isWithinAny(path.slice(0, -suffix.length), owned),
  );
}

/** True for what stays the server's own whatever version is live, by what it is told of the server. */
export function isOfHost(owner: Owner): boolean {
  return owner === 'shared' || owner === 'env';
}

/** True for what every build makes again, by what names it. */
export function isOutput(owner: Owner): boolean {
  return owner === 'named' || owner === 'usual';
}

/**
 * True for a shared path that every build makes anew, as a whole: to share it would let a build write into the live
 * version. `made`: what the last deploy made. Pure.
 */
export function isSharedOutput(
  path: string,
  { buildOutput, made }: { buildOutput: readonly string[]; made: readonly string[] },
): boolean {
  return (
    /(^|\/)(node_modules|\.next)$/.test(path) ||
    (USUAL_OUTPUT.includes(basename(path)) && made.includes(path)) ||
    buildOutput.some((named) => isInside(named, path))
  );
}

/**
 * True for `.env`, `.env.local`, `.env.production.local` and the like; not for samples meant to be committed, nor for
 * copies that somebody set aside.
 */
export function isEnvFile(name: string): boolean {
  return (
    /^\.env(\.[A-Za-z0-9_-]+)*$/.test(name) &&
    !/\.((example|sample|template|dist)|(bak|backup|copy|old|orig|save|tmp)[-_\d]*)$/.test(name)
  );
}
