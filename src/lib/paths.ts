import { posix } from 'node:path';

/** `./a//b/` as `a/b`: the form in which paths are compared; empty for the folder that they start from. */
export function tidyPath(path: string): string {
  const tidy = posix.normalize(path).replace(/\/+$/, '');
  return tidy === '.' ? '' : tidy;
}

/** True where `path` is `folder` or lies in it, both in one spelling. */
export function isInside(path: string, folder: string): boolean {
  return path === folder || path.startsWith(`${folder}/`);
}
