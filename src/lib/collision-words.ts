import type { Problem } from './report.js';
import { shortenList } from './shorten-list.js';

/** Why the commit cannot be deployed: git would overwrite what lies there. Pure. */
export function collisionProblem(paths: readonly string[]): Problem | undefined {
  if (paths.length === 0) return undefined;
  return {
    message: `The commit brings files that lie untracked on the server: ${shortenList([...paths])}.`,
    next: 'Move them away on the server, or take them out of the commit (git rm --cached) if they belong to the host.',
  };
}

/** What is said of files that are as the commit has them. Pure. */
export function takenOverWords(paths: readonly string[]): string {
  return `taken over as they are, because the commit has the same: ${shortenList([...paths])}; every way back leaves them`;
}
