// TypeScript to JavaScript: src, __tests__, scripts and bench into build/ (or BUILD_DIR), as ES modules.
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

const build = process.env.BUILD_DIR ?? 'build';
mkdirSync(build, { recursive: true });
// tsc emits ES modules; the project itself has no "type": "module", because ncc must bundle to CommonJS.
writeFileSync(join(build, 'package.json'), '{ "type": "module" }\n');
// What did not change is not written again, so that compiling does no harm to tests that run out of the same folder.
const INCREMENTAL = ['--incremental', '--tsBuildInfoFile', join(build, '.tsbuildinfo')];
const { status } = spawnSync(
  process.execPath,
  ['node_modules/typescript/bin/tsc', '-p', '.', '--outDir', build, ...INCREMENTAL],
  { stdio: 'inherit' },
);
for (const folder of ['src', '__tests__', 'scripts', 'bench']) removeOrphans(folder);
process.exit(status ?? 1);

/**
 * Removes what an earlier compilation made of a source that is gone. tsc leaves it, and whatever still names it, a
 * test's import by address for one, would go on passing here and fail on a clean checkout.
 */
function removeOrphans(folder) {
  const target = join(build, folder);
  if (!existsSync(target)) return;
  for (const file of readdirSync(target, { recursive: true }).map(String)) {
    const source = file.match(/^(.*)\.js(?:\.map)?$/)?.[1];
    if (source !== undefined && !existsSync(join(folder, `${source}.ts`))) rmSync(join(target, file));
  }
}
