/** Programs from the npm registry that are too large to be dependencies: installed when asked for, then kept. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, lstatSync, mkdirSync, mkdtempSync, renameSync, rmSync } from 'node:fs';
import { tmpdir, userInfo } from 'node:os';
import { join } from 'node:path';

/**
 * The folder whose node_modules holds these packages (`name@version`, always exact). Kept in the system's temp
 * folder, so that only the first run downloads; no install script of a package is run.
 */
export async function npmTool(...packages: string[]): Promise<string> {
  const shelf = ownFolder();
  const folder = join(shelf, packages.join('+').replaceAll(/[^\w.@+-]/g, '-'));
  if (existsSync(folder)) return folder;
  const making = mkdtempSync(join(shelf, 'making-'));
  try {
    await install(packages, making);
    renameSync(making, folder);
  } catch (error) {
    // Two test processes may have installed the same at once: the first to be done is as good.
    if (!existsSync(folder)) throw error;
  } finally {
    rmSync(making, { recursive: true, force: true });
  }
  return folder;
}

/** Programs are run from here, so nobody else may be able to put any into it. */
function ownFolder(): string {
  const { uid, username } = userInfo();
  const folder = join(tmpdir(), `muva-npm-tools-${username}`);
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  const found = lstatSync(folder);
  if (!found.isDirectory() || (uid !== -1 && (found.uid !== uid || (found.mode & 0o022) !== 0)))
    throw new Error(`${folder} belongs to somebody else: remove it, or set TMPDIR`);
  return folder;
}

async function install(packages: readonly string[], folder: string): Promise<void> {
  const flags = ['--no-save', '--no-audit', '--no-fund', '--ignore-scripts', '--loglevel=error'];
  const npm = spawn('npm', ['install', ...flags, '--prefix', folder, ...packages], {
    cwd: folder,
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  let complaint = '';
  npm.stderr.setEncoding('utf8').on('data', (text: string) => {
    complaint += text;
  });
  const code = await Promise.race([
    once(npm, 'close').then(([status]) => status as number | null),
    once(npm, 'error').then(([error]) => Promise.reject(error as Error)),
  ]);
  if (code !== 0)
    throw new Error(`npm could not install ${packages.join(' ')}; is the registry reachable?\n${complaint}`);
}
