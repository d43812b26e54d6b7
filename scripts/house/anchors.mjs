// The deliberate breaks of faults-mutate.mjs after a move: files and tests by their new paths, and in the pieces of
// compiled text the new names. Each piece must stand exactly once in its file; what does not is told.
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

const FILE = 'scripts/faults-mutate.mjs';

export function reanchor(ts, root, moves, renamed, notes) {
  const path = join(root, FILE);
  const text = readFileSync(path, 'utf8');
  const tree = ts.createSourceFile(FILE, text, ts.ScriptTarget.ES2022, true);
  const edits = [];
  const visit = (node) => {
    if (
      ts.isCallExpression(node) &&
      node.expression.getText(tree) === 'mutation' &&
      node.arguments.length === 5
    )
      edits.push(...editsOf(node.arguments));
    ts.forEachChild(node, visit);
  };
  visit(tree);
  let changed = text;
  for (const { node, to } of edits.reverse())
    if (node.text !== to)
      changed = changed.slice(0, node.getStart(tree)) + JSON.stringify(to) + changed.slice(node.end);
  writeFileSync(path, changed);

  function editsOf([row, file, from, to, test]) {
    if (![file, from, to, test].every((each) => ts.isStringLiteralLike(each))) return [];
    const source = `src/${file.text}.ts`;
    const newSource = moves.moved.get(source) ?? source;
    const newTest = moves.moved.get(`__tests__/${test.text}.ts`) ?? `__tests__/${test.text}.ts`;
    const said = `deliberate break of row ${row.getText(tree)} in ${newSource}`;
    if (!existsSync(join(root, newTest))) notes.push(`${said}: no ${newTest}`);
    const built = join(root, process.env.BUILD_DIR ?? 'build', newSource.replace(/\.ts$/, '.js'));
    const code = existsSync(built) ? readFileSync(built, 'utf8') : '';
    const candidates = namings(from.text, renamed.get(source) ?? new Map());
    const right = candidates.find((each) => code.split(each.text).length === 2);
    if (!right)
      notes.push(`${said}: ${JSON.stringify(from.text)} does not stand exactly once in what is compiled`);
    const using = right ?? candidates[0];
    return [
      { node: file, to: newSource.replace(/^src\/|\.ts$/g, '') },
      { node: from, to: using.text },
      { node: to, to: withNames(to.text, using.names) },
      { node: test, to: newTest.replace(/^__tests__\/|\.ts$/g, '') },
    ];
  }
}

/** A text with the new names of its file: all of them first, then with some of those left that are renamed in part. */
function namings(text, counts) {
  const words = [...new Set(text.match(/[A-Za-z_$][\w$]*/g) ?? [])].filter(
    (word) => counts.get(word)?.to.size > 0,
  );
  let all = [new Map()];
  for (const word of words) {
    const { to, kept } = counts.get(word);
    const choices = [...to, ...(kept ? [word] : [])];
    all = choices.flatMap((choice) => all.map((names) => new Map(names).set(word, choice))).slice(0, 64);
  }
  // In a shorthand property the name of the property stays.
  return all.flatMap((names) =>
    [false, true].map((shorthand) => ({ names, text: withNames(text, names, shorthand) })),
  );
}

function withNames(text, names, shorthand = false) {
  return text.replace(/(?<![\w$.])[A-Za-z_$][\w$]*(?!\s*:(?!:))/g, (word, at) => {
    const to = names.get(word);
    if (to === undefined || to === word) return word;
    const isField =
      shorthand && /[{,]\s*$/.test(text.slice(0, at)) && /^\s*[},]/.test(text.slice(at + word.length));
    return isField ? `${word}: ${to}` : to;
  });
}
