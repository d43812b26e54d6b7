import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';

/** The repository that a folder lies in: GitHub reads .github/workflows at its root only. Undefined outside of any. */
export function repositoryRoot(folder: string): string | undefined {
  let at = resolve(folder);
  while (!existsSync(join(at, '.git'))) {
    if (dirname(at) === at) return undefined;
    at = dirname(at);
  }
  return at;
}

/** The branch that origin calls its own, as the last clone or fetch left it, else the one checked out. */
export function mainBranch(root: string): string | undefined {
  return (
    symbolicRef(root, 'refs/remotes/origin/HEAD', 'refs/remotes/origin/') ??
    symbolicRef(root, 'HEAD', 'refs/heads/')
  );
}

/** What a symbolic ref points to, without its prefix. Undefined where it points to nothing, or git cannot be asked. */
function symbolicRef(root: string, name: string, prefix: string): string | undefined {
  const { status, stdout } = spawnSync('git', ['-C', root, 'symbolic-ref', '--quiet', name], {
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'ignore'],
  });
  const target = status === 0 ? stdout.trim() : '';
  return target.startsWith(prefix) ? target.slice(prefix.length) : undefined;
}
