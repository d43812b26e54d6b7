// TypeScript to JavaScript: src, __tests__, scripts and bench into build/ (or BUILD_DIR), as ES modules.
import { spawnSync } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

const build = process.env.BUILD_DIR ?? 'build';
mkdirSync(build, { recursive: true });
// tsc emits ES modules; the project itself has no "type": "module", because ncc must bundle to CommonJS.
writeFileSync(join(build, 'package.json'), '{ "type": "module" }\n');
const { status } = spawnSync(
  process.execPath,
  ['node_modules/typescript/bin/tsc', '-p', '.', '--outDir', build],
  { stdio: 'inherit' },
);
process.exit(status ?? 1);
