// The licence texts of every package that goes into dist.
import { bundledPackages } from './packages.mjs';

/** All licence texts as one text, ordered by package name. */
export function licences(root) {
  return bundledPackages(root)
    .map(({ name, version, license, text }) =>
      [
        `${name} ${version}`,
        `Licence: ${license ?? 'see below'}`,
        '',
        text ?? '(no licence file in the package)',
        '',
      ].join('\n'),
    )
    .join(`\n${'-'.repeat(80)}\n\n`);
}
