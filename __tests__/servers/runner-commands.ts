/** How the GitHub runner reads a line of output: workflow commands in both of its syntaxes. */

export interface Command {
  name: string;
  properties: Record<string, string>;
  text: string;
}

export const COMMANDS = [
  'set-env',
  'set-output',
  'save-state',
  'add-path',
  'add-mask',
  'add-matcher',
  'remove-matcher',
  'warning',
  'error',
  'notice',
  'debug',
  'group',
  'endgroup',
  'echo',
  'stop-commands',
] as const;

/** `::name key=value,...::text` at the start of a line, or the older `##[name key=value;...]text` anywhere in it. */
export function parseCommand(line: string, known: ReadonlySet<string>): Command | undefined {
  return parseColons(line, known) ?? parseBrackets(line, known);
}

function parseColons(line: string, known: ReadonlySet<string>): Command | undefined {
  const text = line.trimStart();
  if (!text.startsWith('::')) return undefined;
  const end = text.indexOf('::', 2);
  if (end < 0) return undefined;
  return command(
    text.slice(2, end),
    ',',
    known,
    (value) => replaceInOrder(value, ['%0D', '\r'], ['%0A', '\n'], ['%3A', ':'], ['%2C', ','], ['%25', '%']),
    replaceInOrder(text.slice(end + 2), ['%0D', '\r'], ['%0A', '\n'], ['%25', '%']),
  );
}

function parseBrackets(line: string, known: ReadonlySet<string>): Command | undefined {
  const start = line.indexOf('##[');
  if (start < 0) return undefined;
  const end = line.indexOf(']', start);
  if (end < 0) return undefined;
  const decode = (value: string): string =>
    replaceInOrder(value, ['%3B', ';'], ['%0D', '\r'], ['%0A', '\n'], ['%5D', ']']);
  return command(line.slice(start + 3, end), ';', known, decode, decode(line.slice(end + 1)));
}

function command(
  info: string,
  separator: string,
  known: ReadonlySet<string>,
  decode: (value: string) => string,
  text: string,
): Command | undefined {
  const blank = info.indexOf(' ');
  const name = blank < 0 ? info : info.slice(0, blank);
  if (!known.has(name)) return undefined;
  const properties: Record<string, string> = {};
  for (const pair of blank < 0
    ? []
    : info
        .slice(blank + 1)
        .trim()
        .split(separator)) {
    const equals = pair.indexOf('=');
    if (equals > 0) properties[pair.slice(0, equals)] = decode(pair.slice(equals + 1));
  }
  return { name, properties, text };
}

function replaceInOrder(text: string, ...pairs: [string, string][]): string {
  return pairs.reduce((result, [from, to]) => result.replaceAll(from, to), text);
}

/** The entries of a GITHUB_OUTPUT, GITHUB_STATE or GITHUB_ENV file; a malformed line throws, as it fails the step. */
export function parseEntries(content: string): Record<string, string> {
  const entries: Record<string, string> = {};
  const lines = content.split(/\r?\n/);
  for (let at = 0; at < lines.length; at++) {
    const line = lines[at]!;
    if (line === '') continue;
    const equals = line.indexOf('=');
    const arrows = line.indexOf('<<');
    if (equals >= 0 && (arrows < 0 || equals < arrows)) {
      if (equals === 0) throw new Error(`Invalid format '${line}'. Name must not be empty`);
      entries[line.slice(0, equals)] = line.slice(equals + 1);
    } else if (arrows >= 0) {
      const delimiter = line.slice(arrows + 2);
      if (arrows === 0 || delimiter === '')
        throw new Error(`Invalid format '${line}'. Name must not be empty and delimiter must not be empty`);
      const end = lines.indexOf(delimiter, at + 1);
      if (end < 0) throw new Error(`Invalid value. Matching delimiter not found '${delimiter}'`);
      entries[line.slice(0, arrows)] = lines.slice(at + 1, end).join('\n');
      at = end;
    } else throw new Error(`Invalid format '${line}'`);
  }
  return entries;
}
