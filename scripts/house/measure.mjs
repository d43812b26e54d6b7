// What the source weighs: for saying before and after a series of moves what became of it.
import { dirname, join, normalize } from 'node:path';
import { declaredNames, isExported, nodesIn, parseSources } from './typescript.mjs';

/** Every number, and the names behind those that are short enough to be told. */
export function measure(ts, root) {
  const sources = parseSources(ts, root);
  const lines = sources.map(({ file, text, tree }) => ({ file, ...countLines(ts, text, tree) }));
  const functions = sources.flatMap(({ file, tree }) => functionsIn(ts, file, tree));
  const sum = (field) => lines.reduce((total, each) => total + each[field], 0);
  const nodes = sources.flatMap(({ tree }) => [...nodesIn(ts, tree)]);
  const count = (isIt) => nodes.filter(isIt).length;
  const exported = exportedFunctions(ts, sources);
  const blocks = sources.flatMap(({ text }) => text.match(/\/\*\*[\s\S]*?\*\//g) ?? []);
  return {
    files: sources.length,
    lines: { all: sum('all'), code: sum('code'), comments: sum('comments'), blank: sum('blank') },
    linesOfFile: spread(lines.map(({ file, all }) => ({ name: file, lines: all }))),
    functions: functions.length,
    linesOfFunction: spread(functions),
    ...declaredTwice(ts, sources),
    circles: circlesIn(importsOf(ts, sources)),
    circlesAtRunTime: circlesIn(importsOf(ts, sources, true)),
    nonNullAssertions: count((node) => ts.isNonNullExpression(node)),
    casts: count((node) => ts.isTypeAssertionExpression(node) || isCast(ts, node)),
    any: count(({ kind }) => kind === ts.SyntaxKind.AnyKeyword),
    exportedFunctions: exported.length,
    exportedFunctionsWithDocblock: exported.filter((node) => ts.getJSDocCommentsAndTags(node).length > 0)
      .length,
    docblocks: blocks.length,
    docblocksWithThrows: blocks.filter((text) => /@throws\b/.test(text)).length,
  };
}

/** The same for a person. */
export function toText(found) {
  const longest = ({ longest: all }) => all.map(({ name, lines }) => `${lines} ${name}`).join(', ');
  const names = (all) => all.map(({ name, files }) => `\n    ${name}: ${files.join(', ')}`).join('');
  const circles = (all) => all.map((files) => `\n    ${files.join(' - ')}`).join('');
  return [
    `files                      ${found.files}`,
    `lines                      ${found.lines.all}: ${found.lines.code} code, ${found.lines.comments} comments, ${found.lines.blank} blank`,
    `lines of a file            median ${found.linesOfFile.median}; longest ${longest(found.linesOfFile)}`,
    `lines of a function        median ${found.linesOfFunction.median} of ${found.functions}; longest ${longest(found.linesOfFunction)}`,
    `exported more than once    ${found.exportedTwice.length}${names(found.exportedTwice)}`,
    `exported, and declared at the top of another file   ${found.exportedAndDeclared.length}${names(found.exportedAndDeclared)}`,
    `declared at the top of several files, not exported  ${found.declaredTwice.length}: ${found.declaredTwice.map(({ name }) => name).join(', ')}`,
    `import circles             ${found.circles.length}${circles(found.circles)}`,
    `of them at run time        ${found.circlesAtRunTime.length}${circles(found.circlesAtRunTime)}`,
    `non-null assertions        ${found.nonNullAssertions}`,
    `casts (not "as const")     ${found.casts}`,
    `any                        ${found.any}`,
    `exported functions         ${found.exportedFunctions}, ${found.exportedFunctionsWithDocblock} with a docblock`,
    `docblocks                  ${found.docblocks}, ${found.docblocksWithThrows} with @throws`,
  ].join('\n');
}

/** A line with a token is code; one without that is not blank is comment. */
function countLines(ts, text, tree) {
  const starts = tree.getLineStarts();
  const hasToken = new Set();
  const lineOf = (at) => tree.getLineAndCharacterOfPosition(at).line;
  const mark = (node) => {
    if (node.kind >= ts.SyntaxKind.FirstJSDocNode && node.kind <= ts.SyntaxKind.LastJSDocNode) return;
    const children = node.getChildren(tree);
    if (children.length > 0) return children.forEach(mark);
    if (node.getStart(tree) === node.getEnd()) return;
    for (let line = lineOf(node.getStart(tree)); line <= lineOf(node.getEnd() - 1); line++)
      hasToken.add(line);
  };
  mark(tree);
  const all = text.endsWith('\n') ? starts.length - 1 : starts.length;
  const rows = text.split('\n').slice(0, all);
  const code = rows.filter((_, line) => hasToken.has(line)).length;
  const blank = rows.filter((row, line) => row.trim() === '' && !hasToken.has(line)).length;
  return { all, code, blank, comments: all - code - blank };
}

function functionsIn(ts, file, tree) {
  const found = [];
  for (const node of nodesIn(ts, tree)) {
    if (!ts.isFunctionLike(node) || !node.body) continue;
    const line = (at) => tree.getLineAndCharacterOfPosition(at).line;
    const name = (node.name ?? node.parent.name)?.getText(tree) ?? '(a function without a name)';
    found.push({ name: `${name} in ${file}`, lines: line(node.end) - line(node.getStart(tree)) + 1 });
  }
  return found;
}

/** The median, and the five longest. */
function spread(all) {
  const sorted = [...all].sort((a, b) => b.lines - a.lines);
  return { median: sorted[Math.floor(sorted.length / 2)]?.lines, longest: sorted.slice(0, 5) };
}

/** Names at the top of files: name -> the files that export it, and those that keep it to themselves. */
export function topLevelNames(ts, sources) {
  const names = new Map();
  for (const { file, tree } of sources)
    for (const statement of tree.statements)
      for (const { text } of declaredNames(ts, statement)) {
        const known = names.get(text) ?? { exported: new Set(), local: new Set() };
        (isExported(ts, statement) ? known.exported : known.local).add(file);
        names.set(text, known);
      }
  return names;
}

function declaredTwice(ts, sources) {
  const told = [...topLevelNames(ts, sources)]
    .map(([name, { exported, local }]) => ({
      name,
      exported: exported.size,
      files: [...exported, ...local],
    }))
    .filter(({ files }) => files.length > 1)
    .sort((a, b) => (a.name < b.name ? -1 : 1));
  const those = (isIt) => told.filter(isIt).map(({ name, files }) => ({ name, files }));
  return {
    exportedTwice: those(({ exported }) => exported > 1),
    exportedAndDeclared: those(({ exported }) => exported === 1),
    declaredTwice: those(({ exported }) => exported === 0),
  };
}

function importsOf(ts, sources, atRunTime = false) {
  const graph = new Map();
  for (const { file, tree } of sources) {
    const targets = new Set();
    const add = (specifier) => {
      if (specifier.startsWith('.'))
        targets.add(normalize(join(dirname(file), specifier)).replace(/\.js$/, '.ts'));
    };
    for (const node of nodesIn(ts, tree)) {
      const declares = ts.isImportDeclaration(node) || ts.isExportDeclaration(node);
      if (declares && node.moduleSpecifier && !(atRunTime && isOfTypes(ts, node)))
        add(node.moduleSpecifier.text);
      if (ts.isCallExpression(node) && node.expression.kind === ts.SyntaxKind.ImportKeyword)
        if (ts.isStringLiteralLike(node.arguments[0])) add(node.arguments[0].text);
    }
    graph.set(file, targets);
  }
  return graph;
}

function isOfTypes(ts, node) {
  if (ts.isExportDeclaration(node)) return node.isTypeOnly;
  const clause = node.importClause;
  if (!clause) return false;
  const named = clause.namedBindings;
  if (clause.isTypeOnly) return true;
  return Boolean(
    !clause.name && named && ts.isNamedImports(named) && named.elements.every((each) => each.isTypeOnly),
  );
}

/** Files that import each other, however far around: the strong components of the graph with more than one file. */
function circlesIn(graph) {
  const circles = [];
  const index = new Map();
  const low = new Map();
  const stack = [];
  const visit = (file) => {
    index.set(file, index.size);
    low.set(file, index.get(file));
    stack.push(file);
    for (const next of graph.get(file) ?? []) {
      if (!index.has(next)) visit(next);
      if (stack.includes(next)) low.set(file, Math.min(low.get(file), low.get(next)));
    }
    if (low.get(file) !== index.get(file)) return;
    const circle = stack.splice(stack.indexOf(file));
    if (circle.length > 1) circles.push(circle.sort());
  };
  for (const file of graph.keys()) if (!index.has(file)) visit(file);
  return circles;
}

function isCast(ts, node) {
  return ts.isAsExpression(node) && !ts.isConstTypeReference(node.type);
}

function exportedFunctions(ts, sources) {
  return sources.flatMap(({ tree }) =>
    tree.statements.filter((node) => ts.isFunctionDeclaration(node) && isExported(ts, node)),
  );
}
