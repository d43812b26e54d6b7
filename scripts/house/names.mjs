// Renames symbols of a program with every reference to them, by the checker and never by text. Names of properties stay
// what they are unless the property itself is renamed: `{ given }` becomes `{ given: definedOnly }`.
import { topLevelNames } from './measure.mjs';
import { below, boundNames, declaredNames, nodesIn } from './typescript.mjs';

/** A rename of the map with the symbols that it means. */
export function findTargets(ts, { checker, files, root }, map) {
  const { RENAMES: renames, LOCALS: locals, MEMBERS: members } = map;
  const targets = new Map();
  const missing = [];
  const sources = new Map(
    files
      .map((tree) => [below(root, tree.fileName), tree])
      .filter(([path]) => path.startsWith('src/'))
      .map(([path, tree]) => [path.slice('src/'.length), tree]),
  );
  const add = (name, to) => {
    const isShort = ts.isShorthandPropertyAssignment(name.parent);
    const symbol = isShort ? name.parent.symbol : checker.getSymbolAtLocation(name);
    if (symbol) targets.set(symbol, { from: name.text, to, at: name });
    return symbol !== undefined;
  };
  const declared = new Set([...sources.values()].flatMap((tree) => topNames(ts, tree)));
  for (const [file, entries] of Object.entries(renames))
    for (const [spec, to] of Object.entries(entries)) {
      const found = namesOf(ts, sources, map, file, spec);
      if (found.map((name) => add(name, to)).includes(true)) continue;
      // Whoever was faster has given it that name.
      if (!declared.has(to)) missing.push(`${file}: ${spec} (to ${to}) is not declared there`);
    }
  for (const [folder, entries] of Object.entries(locals))
    for (const [file, tree] of sources)
      if (file.startsWith(folder))
        for (const name of localNames(ts, tree))
          if (Object.hasOwn(entries, name.text)) add(name, entries[name.text]);
  for (const [folder, entries] of Object.entries(members))
    for (const [file, tree] of sources)
      if (file.startsWith(folder))
        for (const name of memberNames(ts, tree))
          if (Object.hasOwn(entries, name.text)) add(name, entries[name.text]);
  return { targets, missing };
}

function topNames(ts, tree) {
  return tree.statements.flatMap((each) => declaredNames(ts, each)).map(({ text }) => text);
}

/**
 * `Name`, `Outer.inner`, or `*.inner`. A file that is gone may lie where it is to go already; and what a file has no
 * longer is looked for in its room, in the one file that declares it and has no entry of that name itself.
 */
function namesOf(ts, sources, map, file, spec) {
  const [outer, inner] = spec.includes('.') ? spec.split('.') : [spec, undefined];
  const tree = sources.get(file) ?? sources.get(map.FILES[file]);
  const top = (where) =>
    where.statements.filter((each) => declaredNames(ts, each).some(({ text }) => text === outer));
  if (outer === '*') return tree ? localNames(ts, tree).filter(({ text }) => text === inner) : [];
  let statements = tree ? top(tree) : [];
  if (statements.length === 0) {
    const room = file.split('/')[0];
    const others = [...sources]
      .filter(([other]) => other.startsWith(`${room}/`) && !Object.hasOwn(map.RENAMES[other] ?? {}, outer))
      .map(([, other]) => top(other))
      .filter((each) => each.length > 0);
    if (others.length !== 1) return [];
    statements = others[0];
  }
  if (inner === undefined)
    return statements.flatMap((each) => declaredNames(ts, each)).filter(({ text }) => text === outer);
  return statements.flatMap((each) => innerNames(ts, each).filter(({ text }) => text === inner));
}

/** What is declared inside a statement: its members, parameters, variables and functions. */
function innerNames(ts, statement) {
  return [...localNames(ts, statement), ...memberNames(ts, statement)];
}

/** Fields and methods of types, classes and objects. */
function memberNames(ts, tree) {
  const names = [];
  for (const node of nodesIn(ts, tree)) {
    const member =
      ts.isPropertySignature(node) ||
      ts.isMethodSignature(node) ||
      ts.isPropertyDeclaration(node) ||
      ts.isMethodDeclaration(node) ||
      ts.isPropertyAssignment(node) ||
      ts.isShorthandPropertyAssignment(node);
    if (member && ts.isIdentifier(node.name)) names.push(node.name);
  }
  return names;
}

/** Parameters, variables and functions that are not at the top of a file. */
function localNames(ts, tree) {
  const names = [];
  for (const node of nodesIn(ts, tree)) {
    const isTop = node.parent?.parent?.parent && ts.isSourceFile(node.parent.parent.parent);
    if (ts.isParameter(node)) names.push(...boundNames(ts, node.name));
    else if (ts.isVariableDeclaration(node) && !isTop) names.push(...boundNames(ts, node.name));
    else if (ts.isFunctionDeclaration(node) && !ts.isSourceFile(node.parent) && node.name)
      names.push(node.name);
  }
  return names;
}

/** New names that are taken at the top of some file, by something that keeps its own name or gets the same. */
export function collisions(ts, { checker, files, root }, targets) {
  const sources = files
    .map((tree) => ({ file: below(root, tree.fileName), tree }))
    .filter(({ file }) => file.startsWith('src/'));
  const after = new Map();
  const isTop = (name) => {
    for (let node = name.parent; node; node = node.parent) {
      if (ts.isSourceFile(node)) return true;
      if (ts.isFunctionLike(node) && node.name !== name) return false;
    }
    return false;
  };
  for (const { file, tree } of sources)
    for (const statement of tree.statements)
      for (const name of declaredNames(ts, statement)) {
        const target = targets.get(checker.getSymbolAtLocation(name));
        const to = target?.to ?? name.text;
        const exported =
          topLevelNames(ts, [{ file, tree: { statements: [statement] } }]).get(name.text).exported.size > 0;
        const known = after.get(to) ?? [];
        known.push({ file, exported, from: name.text, renamed: target !== undefined && isTop(name) });
        after.set(to, known);
      }
  const told = [];
  const still = [];
  for (const [name, all] of after) {
    const places = new Set(all.map(({ file, from }) => `${file} ${from}`));
    if (places.size < 2 || !all.some(({ exported }) => exported)) continue;
    const text = `${name}: ${all.map(({ file, from, exported }) => `${file}${from === name ? '' : ` (today ${from})`}${exported ? '' : ', not exported'}`).join('; ')}`;
    (all.some(({ renamed }) => renamed) ? told : still).push(text);
  }
  return { taken: told.sort(), still: still.sort() };
}

/**
 * The edits of all renames, by file: `{ start, end, text }`; what was renamed in each file, for texts that hold names;
 * and the places where a new name would mean something else.
 */
export function renameEdits(ts, { checker, files, root }, targets) {
  const wanted = new Set([...targets.values()].map(({ from }) => from));
  const news = new Set([...targets.values()].map(({ to }) => to));
  const edits = new Map();
  const renamed = new Map();
  const captured = [];
  const meaning =
    ts.SymbolFlags.Value | ts.SymbolFlags.Type | ts.SymbolFlags.Namespace | ts.SymbolFlags.Alias;

  const targetOf = (symbol) => {
    if (!symbol) return undefined;
    for (const each of checker.getRootSymbols(symbol)) {
      const own = targets.get(each);
      if (own) return own;
      if (each.flags & ts.SymbolFlags.Alias) {
        const meant = targets.get(checker.getAliasedSymbol(each));
        if (meant) return meant;
      }
    }
    return undefined;
  };
  const propertyOf = (type, name) => (type ? targetOf(checker.getPropertyOfType(type, name)) : undefined);

  for (const tree of files) {
    const file = below(root, tree.fileName);
    const own = [];
    const counts = new Map();
    const note = (from, to) => {
      const known = counts.get(from) ?? { to: new Set(), kept: false };
      if (to === undefined) known.kept = true;
      else known.to.add(to);
      counts.set(from, known);
    };
    const replace = (id, text) => own.push({ start: id.getStart(tree), end: id.end, text });
    const check = (id, target) => {
      const found = checker.resolveName(target.to, id, meaning, true);
      if (found && targetOf(found)?.to !== target.to && !targets.has(found))
        captured.push(
          `${place(tree, file, id)}: ${target.from} -> ${target.to}, which is declared there already`,
        );
    };

    for (const id of nodesIn(ts, tree)) {
      if (ts.isStringLiteral(id) && wanted.has(id.text)) {
        const property = namedByText(id);
        if (property) own.push({ start: id.getStart(tree) + 1, end: id.end - 1, text: property.to });
      }
      if (!ts.isIdentifier(id)) continue;
      if (news.has(id.text) && !wanted.has(id.text)) {
        const by = takenOver(id);
        if (by) captured.push(`${place(tree, file, id)}: ${id.text} would mean what is ${by.from} today`);
      }
      if (!wanted.has(id.text)) continue;
      const { parent } = id;
      if (ts.isShorthandPropertyAssignment(parent) && parent.name === id) {
        const value = targetOf(checker.getShorthandAssignmentValueSymbol(parent));
        const property =
          propertyOf(checker.getContextualType(parent.parent), id.text) ?? targets.get(parent.symbol);
        const names = [property?.to ?? id.text, value?.to ?? id.text];
        if (value) check(id, value);
        if (value || property) replace(id, names[0] === names[1] ? names[0] : names.join(': '));
        note(id.text, value?.to ?? property?.to);
      } else if (
        ts.isBindingElement(parent) &&
        parent.name === id &&
        !parent.propertyName &&
        ts.isObjectBindingPattern(parent.parent) &&
        !parent.dotDotDotToken
      ) {
        const value = targetOf(checker.getSymbolAtLocation(id));
        const property = propertyOf(checker.getTypeAtLocation(parent.parent), id.text);
        const names = [property?.to ?? id.text, value?.to ?? id.text];
        if (value) check(id, value);
        if (value || property) replace(id, names[0] === names[1] ? names[0] : names.join(': '));
        note(id.text, value?.to ?? property?.to);
      } else if (ts.isBindingElement(parent) && parent.propertyName === id) {
        const property = propertyOf(checker.getTypeAtLocation(parent.parent), id.text);
        if (property) replace(id, property.to);
        note(id.text, property?.to);
      } else if (
        ts.isPropertyAssignment(parent) &&
        parent.name === id &&
        ts.isObjectLiteralExpression(parent.parent)
      ) {
        const property =
          propertyOf(checker.getContextualType(parent.parent), id.text) ??
          targetOf(checker.getSymbolAtLocation(id));
        if (property) replace(id, property.to);
        note(id.text, property?.to);
      } else if (ts.isImportSpecifier(parent) || ts.isExportSpecifier(parent)) {
        const target = specifierTarget(id, parent);
        if (target) {
          if (!parent.propertyName && ts.isImportSpecifier(parent)) check(id, target);
          replace(id, target.to);
        }
        note(id.text, target?.to);
      } else {
        const target = targetOf(checker.getSymbolAtLocation(id));
        if (target) {
          if (!(ts.isPropertyAccessExpression(parent) && parent.name === id)) check(id, target);
          replace(id, target.to);
        }
        note(id.text, target?.to);
      }
    }
    own.push(...commentEdits(tree, counts));
    edits.set(file, own);
    renamed.set(file, counts);
  }
  return { edits, renamed, captured: [...new Set(captured)] };

  /** The field that a text names: `Type['field']`, `value['field']`, and the second word of Pick and Omit. */
  function namedByText(literal) {
    const { parent } = literal;
    if (ts.isElementAccessExpression(parent)) return targetOf(checker.getSymbolAtLocation(literal));
    if (!ts.isLiteralTypeNode(parent)) return undefined;
    if (ts.isIndexedAccessTypeNode(parent.parent))
      return propertyOf(checker.getTypeAtLocation(parent.parent.objectType), literal.text);
    const reference = ts.isUnionTypeNode(parent.parent) ? parent.parent.parent : parent.parent;
    if (!ts.isTypeReferenceNode(reference) || !/^(Pick|Omit)$/.test(reference.typeName.getText()))
      return undefined;
    return propertyOf(checker.getTypeAtLocation(reference.typeArguments[0]), literal.text);
  }

  function specifierTarget(id, parent) {
    const symbol = checker.getSymbolAtLocation(id);
    const target = targetOf(symbol);
    // The name behind `as` is of this file alone.
    return parent.propertyName && parent.name === id ? undefined : target;
  }

  /** A target that becomes visible at an identifier which means something else today. */
  function takenOver(id) {
    const { parent } = id;
    const isName =
      (ts.isPropertyAccessExpression(parent) && parent.name === id) ||
      (ts.isPropertyAssignment(parent) && parent.name === id) ||
      (ts.isBindingElement(parent) && parent.propertyName === id) ||
      ts.isPropertySignature(parent) ||
      ts.isMethodSignature(parent) ||
      ts.isMethodDeclaration(parent) ||
      ts.isPropertyDeclaration(parent) ||
      ts.isLiteralTypeNode(parent) ||
      ts.isQualifiedName(parent) ||
      ts.isImportSpecifier(parent) ||
      ts.isExportSpecifier(parent);
    if (isName) return undefined;
    const symbol = ts.isShorthandPropertyAssignment(parent)
      ? checker.getShorthandAssignmentValueSymbol(parent)
      : checker.getSymbolAtLocation(id);
    if (!symbol) return undefined;
    for (const target of targets.values()) {
      if (target.to !== id.text) continue;
      const visible = checker.resolveName(target.from, id, meaning, true);
      if (!visible || targetOf(visible) !== target) continue;
      const scope = scopeOf(target.at);
      const declared = symbol.declarations?.some((each) => within(each, scope)) ?? false;
      // What is declared inside the scope of the new name hides it, as it should.
      if (!declared && within(id, scope)) return target;
    }
    return undefined;
  }

  function scopeOf(name) {
    for (let node = name.parent; node; node = node.parent)
      if (ts.isBlock(node) || ts.isSourceFile(node) || (ts.isFunctionLike(node) && node.name !== name))
        return node;
    return undefined;
  }

  function within(node, scope) {
    for (let each = node; each; each = each.parent) if (each === scope) return true;
    return false;
  }

  /** Names in backticks inside comments. */
  function commentEdits(tree, counts) {
    const found = [];
    for (const match of tree.text.matchAll(/\/\*[\s\S]*?\*\/|(?<=^|\s)\/\/[^\n]*/g))
      for (const name of match[0].matchAll(/`([A-Za-z_$][\w$]*)(?=[`(.])/g)) {
        const known = counts.get(name[1]);
        if (known?.to.size !== 1 || known.kept) continue;
        const start = match.index + name.index + 1;
        if (isInToken(tree, start)) continue;
        found.push({ start, end: start + name[1].length, text: [...known.to][0] });
      }
    return found;
  }

  function isInToken(tree, at) {
    for (const node of nodesIn(ts, tree))
      if (node.getChildCount(tree) === 0 && node.getStart(tree) <= at && at < node.end) return true;
    return false;
  }
}

function place(tree, file, node) {
  return `${file}:${tree.getLineAndCharacterOfPosition(node.getStart(tree)).line + 1}`;
}
