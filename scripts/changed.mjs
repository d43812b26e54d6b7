// Which files of the work tree a change concerns, as git tells it.
import { execFileSync } from 'node:child_process';

/**
 * The files that differ from `base`, and those that git does not track yet. Without a base: from where this branch
 * left origin/main; on main itself, from the newest commit that is older than a day.
 */
export function changedFiles(base = changeBase()) {
  const tracked = git('diff', '--name-only', '--no-renames', base);
  const untracked = git('ls-files', '--others', '--exclude-standard');
  return [...tracked, ...untracked];
}

/** The commit that a change is compared with. */
export function changeBase() {
  const head = git('rev-parse', 'HEAD')[0];
  for (const main of ['origin/main', 'main']) {
    const left = tried('merge-base', main, 'HEAD')[0];
    if (left !== undefined && left !== head) return left;
  }
  const [yesterday] = git('rev-list', '-1', '--before=24 hours ago', 'HEAD');
  // A young or a shallow clone: all that it has.
  return yesterday ?? git('rev-list', '--max-parents=0', 'HEAD').at(-1);
}

function git(...args) {
  const text = execFileSync('git', args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] });
  return text.split('\n').filter((line) => line !== '');
}

function tried(...args) {
  try {
    return git(...args);
  } catch {
    return [];
  }
}
