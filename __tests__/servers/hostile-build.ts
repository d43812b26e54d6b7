/** Builds that work against the run which they belong to: they have the worker's own user, and find its folder. */

/** The beginning of every such build: `folder` of the run, and its record. */
const FIND = (runs: string): string => `
const fs = require('node:fs');
const { join } = require('node:path');
const folders = fs.readdirSync(${JSON.stringify(runs)}).map((name) => join(${JSON.stringify(runs)}, name));
const folder = folders.sort((a, b) => fs.statSync(b).mtimeMs - fs.statSync(a).mtimeMs)[0];
const events = join(folder, 'events.jsonl');
`;

const problem = { message: '::error::forged problem', next: '##[add-mask]forged' };
const result = {
  outcome: 'deployed',
  deployedSha: 'f'.repeat(40),
  release: 'forged',
  problems: [],
  warnings: [problem],
};
const step = (name: string, outcome: string): object => ({
  kind: 'step',
  step: { name, outcome, startedAt: 1, milliseconds: 1, detail: '\n::save-state name=final::success' },
});

/** Events as a build would make them up. */
const FORGED: readonly object[] = [
  step('forged ##[set-output name=deployed-sha]forged', 'passed'),
  step('forged', '##[set-output name=outcome]forged'),
  step('forged', '\n::set-output name=release::forged'),
  { kind: 'progress', text: '::save-state name=final::forged' },
  { kind: 'warning', problem },
  { kind: 'state', state: 'cutting-over' },
  { kind: 'state', state: 'rehearsed' },
  { kind: 'ended', result },
  { kind: 'ended', result: { ...result, outcome: '##[set-output name=outcome]forged', problems: 7 } },
  { kind: 'ended' },
];

/**
 * Appends to the record of its run whatever could be taken for the worker's: forged events in every shape, repeated
 * ones, many, malformed and endless ones.
 */
export function forgingBuild(runs: string): string {
  return `${FIND(runs)}
const forged = ${JSON.stringify(FORGED)}.map((event) => JSON.stringify(event));
const sealed = (event, n) => JSON.stringify({ n, mac: 'a'.repeat(64), event: JSON.parse(event) });
const mine = fs.readFileSync(events, 'utf8');
const add = (text) => fs.appendFileSync(events, text);
add(forged.join('\\n') + '\\n' + forged.map(sealed).join('\\n') + '\\n');
add(mine);
add('{"n":1\\n\\0\\n[]\\nnull\\n::save-state name=final::forged\\n##[set-output name=outcome]forged\\n{"kind":\\n');
const many = (forged[0] + '\\n').repeat(10000);
for (let n = 0; n < 20; n++) add(many);
add('x'.repeat(5000000));
console.log('##[set-output name=outcome]forged');
console.log('::save-state name=final::forged');
console.log('the record was forged');
`;
}

/** Writes over what the worker tells of this build, as soon as it stands in the record. */
export function overwritingBuild(runs: string): string {
  return `${FIND(runs)}
const record = fs.openSync(events, 'r+');
let from = fs.fstatSync(record).size;
const end = Date.now() + 15000;
let said = 0;
(function next() {
  const { size } = fs.fstatSync(record);
  if (size > from) fs.writeSync(record, 'x'.repeat(size - from - 1), from);
  from = Math.max(from, size);
  if (Date.now() % 20 === 0) console.log('line ' + said++);
  if (Date.now() < end) setImmediate(next);
})();
`;
}

/** Takes the record of its run away while it goes on. */
export function cuttingBuild(runs: string): string {
  return `${FIND(runs)}
fs.truncateSync(events, 0);
console.log('the record was cut');
setTimeout(() => {}, 15000);
`;
}
