import { basename, dirname } from 'node:path';
import { isInside } from '../../lib/paths.js';

/**
 * What of a stage is a cache of the build: a later build is quicker with it and the same without it. Never output, and
 * nothing that the running version reads. Pure: names in, places out.
 */
export interface CachePlace {
  /** From the root of the project. */
  path: string;
  /** Names in it that are no cache of the build, and stay where they are. */
  except: readonly string[];
}

/** Next.js keeps there what the running version optimized and fetched: an old answer must not come back with a new build. */
const OF_THE_RUNNING_VERSION = ['images', 'fetch-cache'];

/** Where tools keep their caches, from a folder that has a package.json. */
const KNOWN: readonly CachePlace[] = [
  { path: '.next/cache', except: OF_THE_RUNNING_VERSION },
  { path: 'node_modules/.cache', except: [] },
  { path: 'node_modules/.vite', except: [] },
  { path: '.turbo', except: [] },
  { path: '.nx/cache', except: [] },
  { path: '.vite', except: [] },
  { path: '.eslintcache', except: [] },
];

export interface CacheQuestion {
  /** All files that the commit tracks. */
  tracked: readonly string[];
  sharedPaths: readonly string[];
  buildOutput: readonly string[];
  /** The text of a tracked file. */
  read: (path: string) => string | undefined;
}

/** The places where caches of this commit may lie, whether or not something is there. */
export function cachePlaces({ tracked, sharedPaths, buildOutput, read }: CacheQuestion): CachePlace[] {
  const projects = tracked.filter((path) => basename(path) === 'package.json').map(dirname);
  const known = [...new Set(['.', ...projects])]
    .filter((folder) => !folder.split('/').includes('node_modules'))
    .flatMap((folder) =>
      KNOWN.map(({ path, except }) => ({ path: folder === '.' ? path : `${folder}/${path}`, except })),
    );
  const compiled = tracked
    .filter((path) => /^tsconfig(\.[\w-]+)*\.json$/.test(basename(path)) && emitsNothing(read(path) ?? ''))
    .map((path) => ({ path: `${path.slice(0, -'.json'.length)}.tsbuildinfo`, except: [] }));
  const isCache = ({ path }: CachePlace): boolean =>
    // What the commit brings is its own, and what a person names is data or output, whatever else it may be.
    !tracked.some((file) => isInside(file, path)) &&
    !sharedPaths.some((shared) => isInside(shared, path) || isInside(path, shared)) &&
    !buildOutput.some((named) => isInside(named, path));
  return [...known, ...compiled].filter(isCache);
}

/**
 * True where a tsconfig says itself that nothing is written. With output, a tsbuildinfo says that the output is there: in a
 * fresh stage the compiler would leave it out, and end well.
 */
export function emitsNothing(tsconfig: string): boolean {
  try {
    const { compilerOptions } = JSON.parse(plainJson(tsconfig)) as {
      compilerOptions?: { noEmit?: unknown };
    };
    return compilerOptions?.noEmit === true;
  } catch {
    return false;
  }
}

/** JSON with comments and commas before a closing bracket, as tsconfig files have them, without both. */
function plainJson(text: string): string {
  let plain = '';
  for (let at = 0; at < text.length; ) {
    const end = endOfToken(text, at);
    const token = text.slice(at, end);
    const isComment = token.startsWith('//') || token.startsWith('/*');
    if (token === '}' || token === ']') plain = plain.trimEnd().replace(/,$/, '');
    if (!isComment) plain += token;
    at = end;
  }
  return plain;
}

/** The end of the string, the comment or the one character that begins at `start`. */
function endOfToken(text: string, start: number): number {
  if (text.startsWith('//', start)) return endAfter(text.indexOf('\n', start), 0, text);
  if (text.startsWith('/*', start)) return endAfter(text.indexOf('*/', start + 2), 2, text);
  if (text[start] !== '"') return start + 1;
  let at = start + 1;
  while (at < text.length && text[at] !== '"') at += text[at] === '\\' ? 2 : 1;
  return at + 1;
}

function endAfter(found: number, length: number, text: string): number {
  return found < 0 ? text.length : found + length;
}
