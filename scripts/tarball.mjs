// Packs what `npx` runs: the bundle and nothing to install. `node scripts/tarball.mjs <folder>`, which gets muva-deploy.tgz.
// npm would install the dependencies of package.json with their install scripts, although dist holds all of them.
import { execFileSync } from 'node:child_process';
import { cpSync, mkdtempSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';

const target = resolve(process.argv[2]);
const {
  dependencies,
  devDependencies,
  scripts,
  private: _,
  ...rest
} = JSON.parse(readFileSync('package.json', 'utf8'));
const folder = mkdtempSync(join(tmpdir(), 'muva-pack-'));
try {
  for (const path of ['dist', 'action.yml', 'README.md', 'LICENSE'])
    cpSync(path, join(folder, path), { recursive: true });
  writeFileSync(join(folder, 'package.json'), `${JSON.stringify(rest, null, 2)}\n`);
  const packed = execFileSync('npm', ['pack', '--silent', '--pack-destination', target], {
    cwd: folder,
    encoding: 'utf8',
  });
  renameSync(join(target, packed.trim()), join(target, 'muva-deploy.tgz'));
} finally {
  rmSync(folder, { recursive: true, force: true });
}
