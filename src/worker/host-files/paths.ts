import { isInside, tidyPath } from '../../lib/paths.js';
import { Failure } from '../../lib/report.js';
import type { DeployRequest } from '../protocol.js';

/** Paths inside the application: relative, in one spelling, without a slash at the end. */

/** True where `path` lies in one of the folders, or is one of them. */
export function isWithinAny(path: string, folders: readonly string[]): boolean {
  return folders.some((folder) => isInside(path, folder));
}

/** True where one of the paths lies below the folder. */
export function holdsAny(folder: string, paths: readonly string[]): boolean {
  return paths.some((path) => path !== folder && isInside(path, folder));
}

/** The folders above a path, outermost first: `a`, `a/b` of `a/b/c`. */
export function foldersAbove(path: string): string[] {
  const parts = path.split('/');
  return parts.slice(1).map((_, index) => parts.slice(0, index + 1).join('/'));
}

/** The one spelling of a path that was given. @throws a Failure where it is no path inside the application. */
export function pathInside(input: string, path: string): string {
  const tidy = tidyPath(path.trim());
  const outside = tidy === '' || isInside(tidy, '..') || tidy.startsWith('/');
  if (!outside && !isInside(tidy, '.git')) return tidy;
  throw new Failure({
    message: `${input}: ${JSON.stringify(path)} ${outside ? 'is not inside the application' : "is git's own folder"}.`,
    next: 'Use a path from the root of the application, such as public/uploads.',
  });
}

/** Each path once, and none that lies inside another one: it comes with that. */
function outermost(paths: readonly string[]): string[] {
  const once = [...new Set(paths)];
  return once.filter((path) => !once.some((other) => other !== path && isInside(path, other)));
}

type Paths = Partial<Pick<DeployRequest, 'sharedPaths' | 'buildOutput' | 'envFilePath'>>;

/** The same request with its paths in one spelling. @throws a Failure for a path that may not be given. */
export function withTidyPaths<T extends Paths>(request: T): T & Required<Paths> {
  const { sharedPaths = [], buildOutput = [], envFilePath = '.env.local' } = request;
  return {
    ...request,
    sharedPaths: outermost(sharedPaths.map((path) => pathInside('shared-paths', path))),
    buildOutput: outermost(buildOutput.map((path) => pathInside('build-output', path))),
    envFilePath: pathInside('env-file-path', envFilePath),
  };
}
