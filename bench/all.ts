/** All benchmarks, one after the other: `npm run bench`, or `node build/bench/all.js migrate schema` for some. */
import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';

const ALL = ['migrate', 'schema', 'health', 'startup'];
const wanted = process.argv.slice(2);
const unknown = wanted.filter((name) => !ALL.includes(name));
if (unknown.length > 0) {
  console.error(`no benchmark is named ${unknown.join(', ')}; there are ${ALL.join(', ')}`);
  process.exit(2);
}
for (const name of ALL.filter((each) => wanted.length === 0 || wanted.includes(each))) {
  console.log(`\n# ${name}`);
  const { status } = spawnSync(process.execPath, [fileURLToPath(new URL(`${name}.js`, import.meta.url))], {
    stdio: 'inherit',
  });
  if (status !== 0) process.exit(status ?? 1);
}
