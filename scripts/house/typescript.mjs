// TypeScript's own parser and checker. The project compiles with TypeScript 7, whose package has no language service
// that a script can count on ("./unstable/*" alone), so the last version written in JavaScript is taken from elsewhere:
// a tool for a series of moves, not a dependency.
import { readdirSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join, relative, resolve } from 'node:path';

/** The compiler's API. Ends the process with the commands to run where it is missing. */
export function loadTypeScript() {
  const folder = process.env.HOUSE_TYPESCRIPT;
  const howTo =
    'npm install --prefix /tmp/house-tools --ignore-scripts typescript@5.9\n  HOUSE_TYPESCRIPT=/tmp/house-tools node scripts/house.mjs ...';
  if (!folder)
    stop(`HOUSE_TYPESCRIPT is not set: the folder with node_modules/typescript (5.x):\n  ${howTo}`);
  try {
    const ts = createRequire(join(resolve(folder), 'x.js'))('typescript');
    if (typeof ts.createProgram === 'function') return ts;
    stop(`${folder} holds TypeScript ${ts.version}, which has no API in JavaScript; take 5.9:\n  ${howTo}`);
  } catch (error) {
    stop(`no TypeScript in ${folder} (${error.code ?? error.message}):\n  ${howTo}`);
  }
}

function stop(message) {
  console.error(message);
  process.exit(2);
}

/** The files of a folder with one of the endings, by their paths from it, in the order of the alphabet. */
export function filesIn(folder, endings = ['.ts']) {
  return readdirSync(folder, { recursive: true })
    .map(String)
    .filter((file) => endings.some((ending) => file.endsWith(ending)))
    .sort();
}

/** The program of tsconfig.json: every file parsed and bound. */
export function openProgram(ts, root) {
  const { config } = ts.readConfigFile(join(root, 'tsconfig.json'), ts.sys.readFile);
  const { options, fileNames } = ts.parseJsonConfigFileContent(config, ts.sys, root);
  const program = ts.createProgram(fileNames, { ...options, noEmit: true });
  const own = program
    .getSourceFiles()
    .filter((file) => !file.fileName.includes('/node_modules/') && file.fileName.startsWith(root));
  return { program, checker: program.getTypeChecker(), files: own };
}

/** Parses the files of src alone, without types. */
export function parseSources(ts, root) {
  const src = join(root, 'src');
  return filesIn(src).map((file) => {
    const text = readFileSync(join(src, file), 'utf8');
    return { file, text, tree: ts.createSourceFile(file, text, ts.ScriptTarget.ES2022, true) };
  });
}

/** True where a statement is exported by its own keyword. */
export function isExported(ts, statement) {
  return statement.modifiers?.some(({ kind }) => kind === ts.SyntaxKind.ExportKeyword) ?? false;
}

/** The names that a statement at the top of a file declares, as identifiers. */
export function declaredNames(ts, statement) {
  if (ts.isVariableStatement(statement))
    return statement.declarationList.declarations.flatMap(({ name }) => boundNames(ts, name));
  const declares =
    ts.isFunctionDeclaration(statement) ||
    ts.isClassDeclaration(statement) ||
    ts.isInterfaceDeclaration(statement) ||
    ts.isTypeAliasDeclaration(statement) ||
    ts.isEnumDeclaration(statement);
  return declares && statement.name ? [statement.name] : [];
}

/** The identifiers in a name, which may be a pattern. */
export function boundNames(ts, name) {
  if (ts.isIdentifier(name)) return [name];
  return name.elements.flatMap((element) =>
    ts.isOmittedExpression(element) ? [] : boundNames(ts, element.name),
  );
}

/** Every node of a tree, the outer one first; comments left out. */
export function* nodesIn(ts, node) {
  yield node;
  const children = [];
  ts.forEachChild(node, (child) => void children.push(child));
  for (const child of children) yield* nodesIn(ts, child);
}

/** A path below the root, with slashes. */
export function below(root, path) {
  return relative(root, path).replaceAll('\\', '/');
}
