import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { cpSync, existsSync, mkdtempSync, readdirSync, readFileSync, renameSync, rmSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

/** The root of the compiled tree that this file belongs to. */
const BUILD = fileURLToPath(new URL('../..', import.meta.url));

/**
 * A folder with worker.js, bundled from the compiled sources as the released one is. Made once for each state of
 * the sources and kept in the build folder, so that the test files share it.
 */
export async function workerBundle(): Promise<string> {
  const hash = createHash('sha256');
  for (const folder of ['lib', 'http', 'worker'])
    for (const file of readdirSync(join(BUILD, 'src', folder), { recursive: true, encoding: 'utf8' }).sort())
      if (file.endsWith('.js')) hash.update(file).update(readFileSync(join(BUILD, 'src', folder, file)));
  const dist = join(BUILD, `worker-${hash.digest('hex').slice(0, 16)}`);
  if (existsSync(join(dist, 'worker.js'))) return dist;
  // A copy without the package.json that makes the tree ES modules: only then the bundle is plain CommonJS.
  const work = mkdtempSync(join(BUILD, '../build-worker-'));
  try {
    cpSync(join(BUILD, 'src'), join(work, 'src'), { recursive: true });
    const ncc = resolve('node_modules/@vercel/ncc/dist/ncc/cli.js');
    const words = [
      'build',
      join(work, 'src/worker/main.js'),
      '-o',
      join(work, 'out'),
      '--quiet',
      '--no-cache',
    ];
    await promisify(execFile)(process.execPath, [ncc, ...words]);
    renameSync(join(work, 'out/index.js'), join(work, 'out/worker.js'));
    renameSync(join(work, 'out'), dist);
  } catch (error) {
    // Another test file was faster.
    if (!existsSync(join(dist, 'worker.js'))) throw error;
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
  return dist;
}
