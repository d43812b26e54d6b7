// The packages whose code goes into dist, found through the lock file: what the bundler and `npm sbom` list leaves
// out packages behind lazy imports, or those that development tools share.
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

/** Ordered by name: `{ name, version, license, text, integrity }`. Packages that are optional and absent are left out. */
export function bundledPackages(root) {
  const { packages } = JSON.parse(readFileSync(join(root, 'package-lock.json'), 'utf8'));
  const found = [];
  for (const [path, entry] of Object.entries(packages)) {
    if (path === '' || entry.dev || entry.devOptional || entry.optional || !existsSync(join(root, path)))
      continue;
    const file = readdirSync(join(root, path)).find((candidate) => /^(licen[cs]e|copying)/i.test(candidate));
    found.push({
      name: path.slice(path.lastIndexOf('node_modules/') + 'node_modules/'.length),
      version: entry.version,
      license: entry.license,
      integrity: entry.integrity,
      text:
        file &&
        readFileSync(join(root, path, file), 'utf8')
          .replaceAll('\r\n', '\n')
          .trim(),
    });
  }
  const key = ({ name, version }) => `${name}@${version}`;
  return found.sort((a, b) => (key(a) < key(b) ? -1 : key(a) > key(b) ? 1 : 0));
}
