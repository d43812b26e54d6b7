// The licence texts of every package that goes into dist, found through the lock file: the bundler's own
// list omits packages behind lazy imports.
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

/** All licence texts as one text, ordered by package name. Packages that are optional and absent are left out. */
export function licences(root) {
  const { packages } = JSON.parse(readFileSync(join(root, 'package-lock.json'), 'utf8'));
  const entries = [];
  for (const [path, entry] of Object.entries(packages)) {
    if (path === '' || entry.dev || entry.devOptional || entry.optional || !existsSync(join(root, path)))
      continue;
    const name = path.slice(path.lastIndexOf('node_modules/') + 'node_modules/'.length);
    const file = readdirSync(join(root, path)).find((candidate) => /^(licen[cs]e|copying)/i.test(candidate));
    const text = file
      ? readFileSync(join(root, path, file), 'utf8')
          .replaceAll('\r\n', '\n')
          .trim()
      : '(no licence file in the package)';
    entries.push({
      key: `${name}@${entry.version}`,
      text: `${name} ${entry.version}\nLicence: ${entry.license ?? 'see below'}\n\n${text}\n`,
    });
  }
  entries.sort((a, b) => (a.key < b.key ? -1 : a.key > b.key ? 1 : 0));
  return entries.map((entry) => entry.text).join(`\n${'-'.repeat(80)}\n\n`);
}
