// Writes the inputs of action.yml (from src/inputs/table.ts) and the generated parts of the documents (tables of
// inputs and outputs, examples from examples/), and checks the rest: links, commands, and what examples hand to the
// action.
// `--check` writes nothing and fails on a difference.
import { execFileSync } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, extname, join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { parse } from 'yaml';

const checkOnly = process.argv.includes('--check');
const read = (path) => readFileSync(path, 'utf8');
const CALLED = '.github/workflows/deploy.yml';
const called = parse(read(CALLED)).on.workflow_call;
const { scripts } = JSON.parse(read('package.json'));
const complaints = [];

const documents = [
  ...readdirSync('.').filter((file) => file.endsWith('.md')),
  ...readdirSync('docs', { recursive: true })
    .map((file) => join('docs', String(file)))
    .filter((file) => file.endsWith('.md')),
];
const workflows = ['examples', '.github/workflows'].flatMap((folder) =>
  readdirSync(folder)
    .filter((file) => file.endsWith('.yml'))
    .map((file) => join(folder, file)),
);

const { parts, first } = await inputParts();
writeActionInputs();
const action = parse(read('action.yml'), { schema: 'failsafe' });
const tables = { inputs: inputTables(), outputs: outputTable() };
for (const path of documents) generate(path);
for (const path of documents) checkDocument(path);
for (const path of workflows) checkSteps(path, parse(read(path)));
checkPins();
checkMessages('docs/troubleshooting.md');

for (const complaint of complaints) console.error(complaint);
if (complaints.length > 0) process.exit(1);
console.log(
  `${documents.length} documents and ${workflows.length} workflows agree with action.yml and package.json`,
);

/** The inputs by part, and the names of those that come first, from the table in the sources. */
async function inputParts() {
  const folder = mkdtempSync(join(tmpdir(), 'muva-docs-'));
  try {
    writeFileSync(join(folder, 'package.json'), '{ "type": "module" }');
    const compile = ['node_modules/typescript/bin/tsc', '-p', '.', '--outDir', folder, '--noCheck'];
    execFileSync(process.execPath, compile, { stdio: 'inherit' });
    const { INPUT_PARTS, FIRST_INPUTS } = await import(
      pathToFileURL(join(folder, 'src/inputs/table.js')).href
    );
    return { parts: INPUT_PARTS, first: FIRST_INPUTS };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** Everything between `inputs:` and `outputs:` in action.yml. */
function writeActionInputs() {
  const before = read('action.yml');
  const entries = parts.flatMap(({ inputs }) => Object.entries(inputs).map(actionInput));
  const after = before.replace(/(?<=^inputs:\n)[\s\S]*?(?=^outputs:$)/m, () => `${entries.join('')}\n`);
  if (after === before) return;
  if (checkOnly) complaints.push('action.yml: the inputs are not up to date; run: npm run docs');
  else writeFileSync('action.yml', after);
}

function actionInput([name, input]) {
  const given = actionDefault(input);
  const lines = [
    `  ${name}:`,
    `    description: ${quoted(input.description)}`,
    '    required: false',
    ...(given === '' ? [] : [`    default: ${given}`]),
  ];
  return `${lines.join('\n')}\n`;
}

/**
 * The default that the runner hands over. An input that can come from the environment has none: the runner would hand
 * it over as if a person had set it, and the environment would never be asked.
 */
function actionDefault({ expression, env, fallback }) {
  if (expression !== undefined) return `\${{ ${expression} }}`;
  return env.length > 0 || fallback === '' ? '' : quoted(fallback);
}

/** In YAML's single quotes, where a line break could not stand. */
function quoted(text) {
  if (/[\n\r]/.test(text)) throw new Error(`a line break in ${JSON.stringify(text)}`);
  return `'${text.replaceAll("'", "''")}'`;
}

/** First what most workflows give, with their defaults in bold; then the others, by their part. */
function inputTables() {
  const all = Object.fromEntries(parts.flatMap(({ inputs }) => Object.entries(inputs)));
  const most = first.map((name) => [name, all[name]]);
  const others = parts.map(({ title, inputs }) => {
    const rest = Object.entries(inputs).filter(([name]) => !first.includes(name));
    return `### ${title}\n\n${inputTable(rest)}`;
  });
  const strong = (text) => (text === '' ? '' : `**${text}**`);
  return [`### What most people need\n\n${inputTable(most, strong)}`, ...others].join('\n\n');
}

function inputTable(inputs, shown = (text) => text) {
  const rows = inputs.map(([name, { expression, fallback, env, description }]) => {
    const given = expression === undefined ? fallback : `\${{ ${expression} }}`;
    return [asCode(name), shown(asCode(given)), description, env.map(asCode).join(', ')];
  });
  return table(['Input', 'Default', 'Meaning', 'Environment variable'], rows);
}

function outputTable() {
  const rows = Object.entries(action.outputs).map(([name, { description }]) => [asCode(name), description]);
  return table(['Output', 'Meaning'], rows);
}

function asCode(text) {
  return text === '' ? '' : `\`${text}\``;
}

function table(heads, rows) {
  const line = (cells) =>
    `| ${cells.map((cell) => cell.trim().replaceAll(/\s+/g, ' ').replaceAll('|', '\\|').replaceAll('<', '&lt;')).join(' | ')} |`;
  return [line(heads), line(heads.map(() => '---')), ...rows.map(line)].join('\n');
}

/** Fills `<!-- inputs:start -->…<!-- inputs:end -->`; the same for outputs, a file of examples/, and `<file>#<id>`: a step of it. */
function generate(path) {
  const before = read(path);
  const after = before.replaceAll(
    /<!-- ([\w./#-]+):start -->[\s\S]*?<!-- \1:end -->/g,
    (_, source) => `<!-- ${source}:start -->\n${generated(source)}\n<!-- ${source}:end -->`,
  );
  if (after === before) return;
  if (checkOnly) complaints.push(`${path}: a generated part is not up to date; run: npm run docs`);
  else writeFileSync(path, after);
}

function generated(source) {
  if (source in tables) return tables[source];
  const [file, step] = source.split('#');
  const text = step === undefined ? read(file) : stepOf(file, step);
  const language = extname(file) === '.yml' ? 'yaml' : 'js';
  return `\`\`\`${language}\n${text.trimEnd()}\n\`\`\``;
}

/** The lines of one step of a workflow, by its id, as if they stood alone. */
function stepOf(file, id) {
  const steps = read(file).split(/^ {6}(?=- )/m);
  const found = steps.find((text) => text.startsWith(`- id: ${id}\n`));
  if (found === undefined) throw new Error(`${file} has no step with the id ${id}`);
  return found.replaceAll(/^ {6}/gm, '');
}

function checkDocument(path) {
  const text = read(path);
  for (const [, language, code] of text.matchAll(/^ *```(\w*)\n([\s\S]*?)^ *```/gm)) {
    if (language === 'yaml') checkSteps(path, parse(code));
    if (language === 'sh') for (const line of code.split('\n')) checkCommand(path, line.trim());
  }
  const prose = text.replaceAll(/^ *```[\s\S]*?^ *```/gm, '');
  for (const [, target] of prose.matchAll(/\]\(([^)\s]+)\)/g)) checkLink(path, target);
}

/** A link inside the repository must lead to a file, and to a heading of it; the web is not asked. */
function checkLink(path, target) {
  if (/^(https?|mailto):/.test(target)) return;
  const [file, anchor] = target.split('#');
  const found = file === '' ? path : join(dirname(path), file);
  if (!existsSync(found)) complaints.push(`${path}: the link ${target} leads nowhere`);
  else if (anchor !== undefined && found.endsWith('.md') && !anchors(found).includes(anchor))
    complaints.push(`${path}: ${found} has no heading #${anchor}`);
}

function anchors(path) {
  return [...read(path).matchAll(/^#+ (.+)$/gm)].map(([, heading]) =>
    heading
      .toLowerCase()
      .replaceAll(/[^\p{L}\p{N} _-]/gu, '')
      .replaceAll(' ', '-'),
  );
}

function checkCommand(path, line) {
  for (const [, name] of line.matchAll(/npm run ([\w:-]+)/g)) {
    if (!(name in scripts)) complaints.push(`${path}: npm run ${name} does not exist`);
  }
  const [, script] = /^node (scripts\/\S+)/.exec(line) ?? [];
  if (script !== undefined && !existsSync(script)) complaints.push(`${path}: ${script} does not exist`);
  if (!/(^|[\s/])(muva-deploy(\.tgz)?|cli\.js)\s/.test(line)) return;
  for (const [, flag] of line.matchAll(/\s--([\w-]+)/g)) {
    if (!(flag in action.inputs) && flag !== 'help') complaints.push(`${path}: there is no flag --${flag}`);
  }
}

/** Every `with:` of a step that uses this action must name inputs that exist; the same for a job that calls its workflow. */
function checkSteps(path, node) {
  if (Array.isArray(node)) for (const entry of node) checkSteps(path, entry);
  else if (node !== null && typeof node === 'object') {
    const [used] = String(node.uses ?? '').split('@');
    if (used === 'muva/deploy-action') checkNames(path, 'the action', 'input', node.with, action.inputs);
    if (used === `muva/deploy-action/${CALLED}`) {
      checkNames(path, CALLED, 'input', node.with, called.inputs);
      checkNames(path, CALLED, 'secret', node.secrets, called.secrets);
    }
    for (const entry of Object.values(node)) checkSteps(path, entry);
  }
}

function checkNames(path, whose, what, given, taken) {
  for (const name of Object.keys(given ?? {})) {
    if (!(name in taken)) complaints.push(`${path}: ${whose} has no ${what} ${name}`);
  }
}

/** Foreign actions are pinned to a commit, each to the same one everywhere. */
function checkPins() {
  const pins = new Map();
  for (const path of workflows) {
    for (const [, name, ref] of read(path).matchAll(/uses: ([\w./-]+)@(\S+)/g)) {
      if (name.startsWith('muva/')) continue;
      if (!/^[0-9a-f]{40}$/.test(ref)) complaints.push(`${path}: ${name} is not pinned to a commit`);
      else if ((pins.get(name) ?? ref) !== ref) complaints.push(`${path}: ${name} is pinned to two commits`);
      pins.set(name, ref);
    }
  }
}

/** Words that users are to look for must be words that the code says. */
function checkMessages(path) {
  const sources = readdirSync('src', { recursive: true })
    .map((file) => join('src', String(file)))
    .filter((file) => file.endsWith('.ts') && !file.endsWith('spanish-advice.ts'))
    .map(read)
    .join('\n');
  for (const [, cell] of read(path).matchAll(/^\| (`.*?) \|/gm)) {
    for (const [, words] of cell.matchAll(/`([^`]+)`/g)) {
      if (!sources.includes(words)) complaints.push(`${path}: nothing in src says "${words}"`);
    }
  }
}
