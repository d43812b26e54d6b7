// Prints what dist consists of, as an SPDX 2.3 document: `node scripts/sbom.mjs <commit>`.
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { bundledPackages } from './packages.mjs';

const commit = process.argv[2];
if (!/^[0-9a-f]{40}$/.test(commit ?? '')) {
  console.error('give the full commit that is released');
  process.exit(1);
}
const { name, version, license } = JSON.parse(readFileSync('package.json', 'utf8'));
const parts = bundledPackages(process.cwd());
const id = (part) => `SPDXRef-${`${part.name}-${part.version}`.replace(/[^A-Za-z0-9.-]/g, '-')}`;
const own = { name, version, license };

/** npm's integrity is base64; SPDX wants hexadecimal digits. */
function checksums(integrity = '') {
  const [, algorithm, value] = /^(sha\d+)-(.+)$/.exec(integrity) ?? [];
  return algorithm === undefined
    ? []
    : [{ algorithm: algorithm.toUpperCase(), checksumValue: Buffer.from(value, 'base64').toString('hex') }];
}

function describe(part, purl) {
  return {
    SPDXID: id(part),
    name: part.name,
    versionInfo: part.version,
    downloadLocation: 'NOASSERTION',
    filesAnalyzed: false,
    licenseConcluded: 'NOASSERTION',
    licenseDeclared: part.license ?? 'NOASSERTION',
    copyrightText: 'NOASSERTION',
    checksums: checksums(part.integrity),
    externalRefs: [{ referenceCategory: 'PACKAGE-MANAGER', referenceType: 'purl', referenceLocator: purl }],
  };
}

const packages = [
  describe(own, `pkg:github/muva/deploy-action@${commit}`),
  ...parts.map((part) => describe(part, `pkg:npm/${part.name.replace('@', '%40')}@${part.version}`)),
];
const relationships = [
  { spdxElementId: 'SPDXRef-DOCUMENT', relationshipType: 'DESCRIBES', relatedSpdxElement: id(own) },
  ...parts.map((part) => ({
    spdxElementId: id(own),
    relationshipType: 'CONTAINS',
    relatedSpdxElement: id(part),
  })),
];
const contents = createHash('sha256').update(JSON.stringify(packages)).digest('hex').slice(0, 16);
console.log(
  JSON.stringify(
    {
      spdxVersion: 'SPDX-2.3',
      dataLicense: 'CC0-1.0',
      SPDXID: 'SPDXRef-DOCUMENT',
      name: `${name}-${version}`,
      documentNamespace: `https://github.com/muva/deploy-action/sbom/${version}-${contents}`,
      creationInfo: {
        created: new Date().toISOString().replace(/\.\d+Z/, 'Z'),
        creators: ['Tool: scripts/sbom.mjs'],
      },
      documentDescribes: [id(own)],
      packages,
      relationships,
    },
    null,
    2,
  ),
);
