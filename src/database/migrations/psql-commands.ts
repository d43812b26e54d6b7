import { afterToken } from '../sql/sql-lexer.js';

/** A line that psql would take for itself, because it starts with a backslash outside any quote or comment. */
export interface PsqlCommand {
  name: string;
  from: number;
  to: number;
  /** pg_dump writes `\restrict` and `\unrestrict` around every dump; they mean nothing to the server. */
  harmless: boolean;
}

/** Finds psql's commands in a file. Only SQL's lexical rules are needed for it: quotes, dollar quotes, comments. */
export function psqlCommands(source: string): PsqlCommand[] {
  if (!source.includes('\\')) return [];
  const commands: PsqlCommand[] = [];
  for (let index = 0; index < source.length; ) {
    if (source[index] === '\\') {
      const newline = source.indexOf('\n', index);
      const to = newline === -1 ? source.length : newline;
      const name = /^\\\S*/.exec(source.slice(index, Math.min(to, index + 40)))![0];
      commands.push({ name, from: index, to, harmless: /^\\(un)?restrict$/.test(name) });
      index = to;
    } else index = afterToken(source, index);
  }
  return commands;
}

/** The variable of psql that begins at this place, such as `:name` or `:'name'`; undefined where none does. */
export function psqlVariable(source: string, index: number): string | undefined {
  if (source[index] !== ':') return undefined;
  const name = source.slice(index + 1, afterToken(source, index + 1));
  return /^(['"]?)[\p{L}_][\p{L}\p{N}_]*\1$/u.test(name) ? `:${name}` : undefined;
}
