import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';

/** File contents by path; null deletes the file. */
export type Files = Record<string, string | null>;

/** A git remote of its own: a bare repository, and a work tree in which commits are made and pushed. */
export interface Origin {
  /** What a clone takes: the folder of the bare repository. */
  readonly url: string;
  /** Changes files on `main`, pushes, and returns the full SHA. */
  commit(files: Files, message?: string): string;
  /** Throws away the newest `count` commits and pushes by force; they stay unreachable. Returns the new head. */
  dropNewest(count: number): string;
  head(): string;
  git(...args: string[]): string;
  stop(): void;
}

/** Git without the settings of the machine it runs on. */
export const GIT_ENV = {
  GIT_CONFIG_GLOBAL: '/dev/null',
  GIT_CONFIG_NOSYSTEM: '1',
  GIT_TERMINAL_PROMPT: '0',
  GIT_AUTHOR_NAME: 'Tester',
  GIT_AUTHOR_EMAIL: 'tester@example.com',
  GIT_COMMITTER_NAME: 'Tester',
  GIT_COMMITTER_EMAIL: 'tester@example.com',
} as const;

/** Makes the remote with one first commit of `files`. Leaves nothing behind when that fails. */
export function startOrigin(files: Files): Origin {
  const folder = mkdtempSync(join(tmpdir(), 'muva-origin-'));
  try {
    return originIn(folder, files);
  } catch (error) {
    rmSync(folder, { recursive: true, force: true });
    throw error;
  }
}

function originIn(folder: string, files: Files): Origin {
  const bare = join(folder, 'origin.git');
  const tree = join(folder, 'tree');
  const git = (...args: string[]): string =>
    execFileSync('git', args, {
      cwd: tree,
      encoding: 'utf8',
      env: { ...process.env, ...GIT_ENV },
      stdio: ['ignore', 'pipe', 'pipe'],
    }).trim();
  mkdirSync(bare);
  mkdirSync(tree);
  execFileSync('git', ['init', '-q', '--bare', '-b', 'main', bare], { env: { ...process.env, ...GIT_ENV } });
  git('init', '-q', '-b', 'main');
  git('remote', 'add', 'origin', bare);
  const head = (): string => git('rev-parse', 'HEAD');
  const origin: Origin = {
    url: bare,
    commit(changes, message = 'Change') {
      for (const [path, text] of Object.entries(changes)) {
        const file = join(tree, path);
        if (text === null) {
          rmSync(file, { force: true });
          continue;
        }
        mkdirSync(dirname(file), { recursive: true });
        writeFileSync(file, text);
      }
      git('add', '-A');
      git('commit', '-q', '--allow-empty', '-m', message);
      git('push', '-q', '-f', 'origin', 'main');
      return head();
    },
    dropNewest(count) {
      git('reset', '-q', '--hard', `HEAD~${count}`);
      git('push', '-q', '-f', 'origin', 'main');
      return head();
    },
    head,
    git,
    stop: () => rmSync(folder, { recursive: true, force: true }),
  };
  origin.commit(files, 'First');
  return origin;
}
