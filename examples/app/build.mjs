// The build: stamps the page with version and commit, and gives script and style names that change with their content.
import { createHash } from 'node:crypto';
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';

const { version } = JSON.parse(readFileSync('package.json', 'utf8'));
const commit = process.env.DEPLOY_SHA ?? 'built by hand';

rmSync('dist', { recursive: true, force: true });
mkdirSync('dist/assets', { recursive: true });

/** Copies web/<name>.<extension> to a name that holds a hash of its content, and returns the path it is served under. */
function asset(name, extension) {
  const content = readFileSync(`web/${name}.${extension}`);
  const hash = createHash('sha256').update(content).digest('hex').slice(0, 8);
  const path = `assets/${name}.${hash}.${extension}`;
  writeFileSync(`dist/${path}`, content);
  return `/${path}`;
}

const page = readFileSync('web/index.html', 'utf8')
  .replaceAll('%VERSION%', `v${version.split('.')[0]}`)
  .replaceAll('%COMMIT%', commit)
  .replaceAll('%STYLE%', asset('page', 'css'))
  .replaceAll('%SCRIPT%', asset('page', 'js'));
writeFileSync('dist/index.html', page);
console.log(`built dist/ of version ${version}`);
