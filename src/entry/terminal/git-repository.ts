import { existsSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { runProgram } from '../../lib/local-programs.js';

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
export async function mainBranch(root: string): Promise<string | undefined> {
  return (
    (await symbolicRef(root, 'refs/remotes/origin/HEAD', 'refs/remotes/origin/')) ??
    (await symbolicRef(root, 'HEAD', 'refs/heads/'))
  );
}

/** The branch of that name, where there is one here or at origin as last fetched. */
export async function branchNamed(root: string, name: string): Promise<string | undefined> {
  for (const place of ['refs/heads/', 'refs/remotes/origin/']) {
    const words = ['git', '-C', root, 'show-ref', '--verify', '--quiet', `${place}${name}`] as const;
    const ended = await runProgram(words).catch(() => undefined);
    if (ended?.code === 0) return name;
  }
  return undefined;
}

/** What a symbolic ref points to, without its prefix. Undefined where it points to nothing, or git cannot be asked. */
async function symbolicRef(root: string, name: string, prefix: string): Promise<string | undefined> {
  const words = ['git', '-C', root, 'symbolic-ref', '--quiet', name] as const;
  const ended = await runProgram(words).catch(() => undefined);
  const target = ended?.code === 0 ? ended.stdout.trim() : '';
  return target.startsWith(prefix) ? target.slice(prefix.length) : undefined;
}
