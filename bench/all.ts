/** All benchmarks, one after the other: `npm run bench`, or `node build/bench/all.js migrate schema` for some. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';

const ALL = ['migrate', 'schema', 'redeploy', 'schema-lead', 'health', 'ssh', 'startup'];
const wanted = process.argv.slice(2);
const unknown = wanted.filter((name) => !ALL.includes(name));
if (unknown.length > 0) {
  console.error(`no benchmark is named ${unknown.join(', ')}; there are ${ALL.join(', ')}`);
  process.exit(2);
}
let running: ChildProcess | undefined;
// Each stops what it has started; to end before it would leave that behind.
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => running?.kill(signal));
for (const name of ALL.filter((each) => wanted.length === 0 || wanted.includes(each))) {
  console.log(`\n# ${name}`);
  running = spawn(process.execPath, [fileURLToPath(new URL(`${name}.js`, import.meta.url))], {
    stdio: 'inherit',
  });
  const [code] = (await once(running, 'exit')) as [number | null];
  if (code !== 0) process.exit(code ?? 1);
}
