// Moves files and renames symbols by the map. What the map names and the tree has not is told at the end, and fails
// nothing: the tree may have gone on since the map was written.
import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join, normalize, relative } from 'node:path';
import { reanchor } from './anchors.mjs';
import { collisions, findTargets, renameEdits } from './names.mjs';
import { below, filesIn, nodesIn, openProgram } from './typescript.mjs';

export function move(ts, root, map, { dry = false, force = false }) {
  const notes = [];
  const moves = planMoves(root, map, notes);
  const opened = { ...openProgram(ts, root), root };
  const { targets, missing } = findTargets(ts, opened, map);
  notes.push(...missing);
  const names = collisions(ts, opened, targets);
  const { edits, renamed, captured } = renameEdits(ts, opened, targets);
  const stopping = [...moves.collisions, ...names.taken.map((text) => `name taken: ${text}`), ...captured];
  tell('new names that are taken', stopping);
  tell('names that stay declared more than once', names.still);
  if (dry) tell('not found', notes);
  if (stopping.length > 0 && !force) return 1;
  if (dry) return 0;

  notes.push(...namesInTexts(ts, opened, targets));
  pathEdits(ts, opened, moves, edits);
  const texts = applyEdits(opened, edits, moves, map.COMMENTS);
  for (const [file, text] of otherTexts(root, moves)) texts.set(file, text);
  adaptTexts(ts, root, map, texts, notes);
  moveFiles(root, moves.moved);
  for (const [file, text] of texts) writeFileSync(join(root, moves.moved.get(file) ?? file), text);
  placeFiles(root);
  run(root, ['npx', 'biome', 'check', '--write', 'src', '__tests__', 'scripts', 'bench'], notes);
  run(root, ['node', 'scripts/compile.mjs'], notes);
  reanchor(ts, root, moves, renamed, notes);
  run(root, ['npx', 'biome', 'check', '--write', 'scripts'], notes);
  tell('not found, or to be done by hand', notes);
  console.log(`${moves.moved.size} files moved, ${targets.size} symbols renamed`);
  return notes.length > 0 ? 1 : 0;
}

function tell(title, lines) {
  if (lines.length > 0)
    console.log(`${title}: ${lines.length}\n${lines.map((line) => `  ${line}`).join('\n')}`);
}

function run(root, [program, ...args], notes) {
  const { status, stdout, stderr } = spawnSync(program, args, { cwd: root, encoding: 'utf8' });
  if (status === 0) return;
  notes.push(
    `${program} ${args.join(' ')} ended with ${status}:\n${(stdout + stderr).trim().slice(0, 4_000)}`,
  );
}

/** Where each file goes: src by the map, tests as their sources go. Paths from the root. */
function planMoves(root, map, notes) {
  const moved = new Map();
  const src = filesIn(join(root, 'src'));
  const folders = Object.entries(map.FOLDERS).sort(([a], [b]) => b.length - a.length);
  const inFolder = (file) => {
    const rule = folders.find(([from]) => file.startsWith(from));
    return rule ? rule[1] + file.slice(rule[0].length) : file;
  };
  for (const [file, to] of Object.entries(map.FILES))
    if (!src.includes(file) && !src.includes(to)) notes.push(`file src/${file} is not there`);
  for (const file of src) moved.set(`src/${file}`, `src/${map.FILES[file] ?? inFolder(file)}`);
  const tests = filesIn(join(root, '__tests__'));
  for (const file of tests)
    moved.set(`__tests__/${file}`, `__tests__/${map.TESTS[file] ?? mirrored(file) ?? inTestFolder(file)}`);

  const targets = new Map();
  for (const [from, to] of moved) targets.set(to, [...(targets.get(to) ?? []), from]);
  const twice = [...targets].filter(([, from]) => from.length > 1);
  for (const [from, to] of moved) if (from === to) moved.delete(from);
  return {
    moved,
    collisions: twice.map(([to, from]) => `file ${to} would be made of ${from.join(' and ')}`),
    /** A path from the root, of a file with `.ts`, `.js` or neither, or of a folder; undefined where it stays. */
    newPath(path) {
      const ending = /\.[tj]s$/.exec(path)?.[0] ?? '';
      const file = moved.get(`${path.slice(0, path.length - ending.length)}.ts`);
      if (file !== undefined) return file.replace(/\.ts$/, ending);
      const [top, ...rest] = path.replace(/\/$/, '').split('/');
      const rules = Object.entries(top === 'src' ? map.FOLDERS : map.TEST_FOLDERS);
      const to = rules.find(([from]) => from === `${rest.join('/')}/`)?.[1];
      return to === undefined ? undefined : `${top}/${path.endsWith('/') ? to : to.replace(/\/$/, '')}`;
    },
  };

  /** A test of src/x/y lies at __tests__/x/y.test.ts; today some of x may be missing in between. */
  function mirrored(file) {
    const match = /^(?:([^/]+)\/)?([^/]+?)((?:\.(?:timing|slow|nightly))*\.test\.ts)$/.exec(file);
    if (!match) return undefined;
    const [, room, name, ending] = match;
    const of = src.filter((each) =>
      room === undefined
        ? each === `${name}.ts`
        : each.startsWith(`${room}/`) && each.endsWith(`/${name}.ts`),
    );
    if (of.length !== 1) return undefined;
    const to = moved.get(`src/${of[0]}`).slice('src/'.length);
    return to.slice(0, -'.ts'.length) + ending;
  }

  function inTestFolder(file) {
    const rule = Object.entries(map.TEST_FOLDERS).find(([from]) => file.startsWith(from));
    return rule ? rule[1] + file.slice(rule[0].length) : file;
  }
}

/** Programs that stand in texts, and import what is renamed: to be changed by hand. */
function namesInTexts(ts, { files, root }, targets) {
  const names = new Set([...targets.values()].map(({ from }) => from));
  const found = [];
  for (const tree of files)
    for (const node of nodesIn(ts, tree)) {
      const isText = ts.isStringLiteralLike(node) || ts.isTemplateHead(node);
      const imported = isText ? /\bimport \{([^}]*)\}/.exec(node.text)?.[1] : undefined;
      for (const name of imported?.match(/[\w$]+/g) ?? [])
        if (names.has(name)) found.push(`${below(root, tree.fileName)}: a text imports ${name}`);
    }
  return found;
}

/** Every text in code that is a path from its file to another one: imports, `import()`, `new URL()`. */
function pathEdits(ts, { files, root }, moves, edits) {
  for (const tree of files) {
    const file = below(root, tree.fileName);
    const to = moves.moved.get(file) ?? file;
    for (const node of nodesIn(ts, tree)) {
      if (!ts.isStringLiteralLike(node) || !/^\.\.?\//.test(node.text) || !node.text.endsWith('.js'))
        continue;
      const target = normalize(join(dirname(file), node.text)).replace(/\.js$/, '.ts');
      if (!existsSync(join(root, target))) continue;
      const path = relative(dirname(to), moves.moved.get(target) ?? target).replace(/\.ts$/, '.js');
      const text = path.startsWith('.') ? path : `./${path}`;
      if (text !== node.text)
        edits.get(file).push({ start: node.getStart(tree) + 1, end: node.end - 1, text });
    }
  }
}

/** The new text of each file of the program. */
function applyEdits({ files, root }, edits, moves, words) {
  const texts = new Map();
  for (const tree of files) {
    const file = below(root, tree.fileName);
    let text = tree.text;
    const sorted = [...(edits.get(file) ?? [])].sort((a, b) => b.start - a.start);
    sorted.forEach((edit, index) => {
      const later = sorted[index - 1];
      if (later && edit.end > later.start) throw new Error(`edits of ${file} overlap at ${edit.start}`);
      text = text.slice(0, edit.start) + edit.text + text.slice(edit.end);
    });
    // Paths with `../` in front are those of imports, which are done.
    const paths = inBackticks(withNewPaths(text, moves, /(?<![\w./-])/), moves);
    if (file.startsWith('__tests__/house/')) texts.set(file, inQuotes(paths, moves));
    else texts.set(file, file.startsWith('src/') ? inComments(paths, words) : paths);
  }
  return texts;
}

/** `worker/host/records.ts` in comments, as seen from src. */
function inBackticks(text, moves) {
  return text.replace(/`([a-z][\w/-]*\.ts)`/g, (whole, path) => {
    const to = moves.newPath(`src/${path}`);
    return to === undefined ? whole : `\`${to.slice('src/'.length)}\``;
  });
}

/** The words of the map in comments, which the checker does not read. */
function inComments(text, words) {
  return text.replace(/\/\*[\s\S]*?\*\/|(?<=^|\s)\/\/[^\n]*/g, (comment) =>
    words.reduce((changed, [from, to]) => changed.replaceAll(from, to), comment),
  );
}

/** 'vps/fleet.ts' in the tests of the house, which list files as seen from src. */
function inQuotes(text, moves) {
  return text.replace(/'([a-z][\w/-]*\.ts)'/g, (whole, path) => {
    const to = moves.newPath(`src/${path}`);
    return to === undefined ? whole : `'${to.slice('src/'.length)}'`;
  });
}

const OTHERS = ['scripts', '.ci', '.github', 'docs', 'examples', 'bench'];

/** Scripts, documents and settings: all that names files of the program. */
function otherTexts(root, moves) {
  const listed = execFileSync('git', ['ls-files', '-co', '--exclude-standard'], {
    cwd: root,
    encoding: 'utf8',
  })
    .split('\n')
    .filter((file) => file !== '' && existsSync(join(root, file)));
  const texts = new Map();
  for (const file of listed) {
    const top = file.split('/')[0];
    if (
      !(OTHERS.includes(top) || !file.includes('/')) ||
      /^scripts\/house|\.(png|ts)$|^package-lock/.test(file)
    )
      continue;
    const text = readFileSync(join(root, file), 'utf8');
    const changed = withNewPaths(text, moves);
    if (changed !== text) texts.set(file, changed);
  }
  return texts;
}

/** Paths that begin with src/ or __tests__/, behind what `before` allows; and the labels of links to tests. */
function withNewPaths(text, moves, before = /(?<![\w-])/) {
  const short = (path) =>
    path.replace(/^__tests__\//, '').replace(/((\.(timing|slow|nightly))*\.test)?\.ts$/, '');
  const link = /\[([\w./-]+)\](\([^)]*?)(__tests__\/[\w./-]+\.ts)\)/g;
  const labelled = text.replace(link, (whole, label, middle, path) => {
    const to = moves.newPath(path);
    return to !== undefined && label === short(path) ? `[${short(to)}]${middle}${path})` : whole;
  });
  const path = new RegExp(`${before.source}(?:src|__tests__)/[\\w./-]*\\w/?`, 'g');
  return labelled.replace(path, (found) => moves.newPath(found) ?? found);
}

/** What the map says word by word: pieces of text, and the values of constants. */
function adaptTexts(ts, root, map, texts, notes) {
  const textOf = (file) =>
    texts.get(file) ?? (existsSync(join(root, file)) ? readFileSync(join(root, file), 'utf8') : undefined);
  for (const { file, from, to } of map.TEXTS) {
    const text = textOf(file);
    if (text?.includes(from))
      texts.set(
        file,
        text.replaceAll(from, () => to),
      );
    else notes.push(`${file}: the text ${JSON.stringify(from.slice(0, 60))} is not there`);
  }
  for (const { file, from, to, text: by } of map.SECTIONS) {
    const text = textOf(file) ?? '';
    const [start, end] = [text.indexOf(`${from}\n`), text.indexOf(`${to}\n`)];
    if (start < 0 || end < start) notes.push(`${file}: no section from "${from}" to "${to}"`);
    else texts.set(file, text.slice(0, start) + readFileSync(join(root, by), 'utf8') + text.slice(end));
  }
  for (const { file, name, value, sort } of map.CONSTANTS) {
    const text = textOf(file) ?? '';
    const tree = ts.createSourceFile(file, text, ts.ScriptTarget.ES2022, true);
    const found = tree.statements
      .filter(ts.isVariableStatement)
      .flatMap(({ declarationList }) => [...declarationList.declarations])
      .find((each) => each.name.getText(tree) === name);
    if (!found?.initializer) {
      notes.push(`${file}: no constant ${name}`);
      continue;
    }
    const { initializer } = found;
    const sorted = () =>
      `[${initializer.elements
        .map((each) => each.getText(tree))
        .sort()
        .join(', ')}]`;
    const written = sort ? sorted() : value;
    texts.set(file, text.slice(0, initializer.getStart(tree)) + written + text.slice(initializer.end));
  }
}

/** Moves with git, by way of another name where the new one is still taken. */
function moveFiles(root, moved) {
  const git = (...args) => execFileSync('git', args, { cwd: root, stdio: ['ignore', 'ignore', 'inherit'] });
  const later = [];
  for (const [from, to] of moved) {
    mkdirSync(dirname(join(root, to)), { recursive: true });
    const isTaken = existsSync(join(root, to));
    const at = isTaken ? `${to}.moving` : to;
    git('mv', from, at);
    if (isTaken) later.push([at, to]);
  }
  for (const [from, to] of later) git('mv', from, to);
  for (const folder of ['src', '__tests__']) removeEmpty(join(root, folder));
}

function removeEmpty(folder) {
  for (const entry of readdirSync(folder, { withFileTypes: true }))
    if (entry.isDirectory()) removeEmpty(join(folder, entry.name));
  if (readdirSync(folder).length === 0) rmSync(folder, { recursive: true });
}

/** Puts in place what can hold only after the move: scripts/house/place/<path>.new. */
function placeFiles(root) {
  const place = join(root, 'scripts/house/place');
  if (!existsSync(place)) return;
  for (const file of filesIn(place, ['.new'])) {
    const to = join(root, file.slice(0, -'.new'.length));
    mkdirSync(dirname(to), { recursive: true });
    writeFileSync(to, readFileSync(join(place, file)));
  }
}
