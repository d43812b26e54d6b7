import { definedOnly } from '../../lib/defined-only.js';
import { invisibleCharacter } from '../../lib/invisible.js';
import { isLoopback } from '../../lib/loopback.js';
import type { QualifiedName } from '../../lib/sql-names.js';
import { quoteIfSafe } from '../quote-if-safe.js';

/** A complaint about a name, and what would be right; undefined when the name is fine. */
export type NameProblem = { wrong: string; right: string } | undefined;

export function visible(value: string): NameProblem {
  const invisible = invisibleCharacter(value);
  return invisible
    ? { wrong: `holds the invisible character ${invisible}`, right: 'Type the value again without it.' }
    : undefined;
}

/**
 * A branch, tag or commit by git's own rules (git check-ref-format), narrower where a shell or an option
 * parser could be reached: nothing that starts with a dash, no revision syntax such as `@{-1}` or `HEAD~1`.
 */
export function checkGitRef(ref: string): NameProblem {
  const right = 'Use a full commit SHA, a branch or a tag name.';
  const invisible = visible(ref);
  if (invisible) return invisible;
  if (ref.startsWith('-')) return { wrong: 'starts with a dash and would be read as an option', right };
  if (/[\s~^:?*[\\;&|<>$`'"(){}!]/.test(ref) || ref.includes('..') || ref.includes('@{') || ref === '@') {
    return { wrong: 'holds characters that a git name cannot have', right };
  }
  const parts = ref.split('/');
  if (
    parts.some((part) => part === '' || part.startsWith('.') || part.endsWith('.lock')) ||
    ref.endsWith('.')
  ) {
    return { wrong: 'is not a name that git accepts', right };
  }
  return undefined;
}

/**
 * A PM2 process name, which is given to PM2 as one word. What PM2 reads as something else is refused: `all`, a number,
 * an option, a pattern (`/web/`), a file (`web.json`).
 */
export function checkProcessName(name: string): NameProblem {
  const right =
    'Use the name shown by `pm2 list`: letters, digits, blanks and . _ - @ : / between them, not "all", not a number alone.';
  const invisible = visible(name);
  if (invisible) return invisible;
  if (name === 'all') return { wrong: '"all" means every process to PM2', right };
  if (/^\d+$/.test(name)) return { wrong: 'a number means a process id to PM2', right };
  if (name.startsWith('-')) return { wrong: 'starts with a dash and would be read as an option', right };
  if (name.startsWith('/')) return { wrong: 'starts with a slash and would be a pattern to PM2', right };
  const file = /\.(json|ya?ml|config\.[cm]?js)/.exec(name)?.[0];
  if (file !== undefined) return { wrong: `holds ${file} and would be a file to PM2`, right };
  if (!/^[\p{L}\p{N}_@][\p{L}\p{M}\p{N} ._@:/-]*$/u.test(name) || name.length > 100)
    return { wrong: 'holds characters that a process name should not have', right };
  return undefined;
}

/** An environment's name: one word, as GitHub Environments have it. */
export function checkEnvironmentName(name: string): NameProblem {
  const invisible = visible(name);
  if (invisible) return invisible;
  if (name.length > 60 || !/^[\p{L}\p{N}][\p{L}\p{N} ._/-]*$/u.test(name)) {
    return { wrong: 'is not a name for an environment', right: 'Use a word such as staging or production.' };
  }
  return undefined;
}

/**
 * Reads `name`, `schema.name`, `"We ird"."x"` as SQL does: unquoted parts are folded to lower case, `""` is a
 * quote inside a quoted part. Without a schema it is `public`.
 */
export function parseQualifiedName(text: string): QualifiedName | { wrong: string; right: string } {
  const right = 'Write table, schema.table or "Quoted Schema"."Quoted Table".';
  const invisible = visible(text);
  if (invisible) return invisible;
  const parts: string[] = [];
  let rest = text;
  for (;;) {
    const quoted = /^"((?:[^"]|"")+)"/.exec(rest);
    const word = quoted ?? /^[\p{L}_][\p{L}\p{N}_$]*/u.exec(rest);
    if (!word) return { wrong: `${quoteIfSafe(text)} is not a table name`, right };
    parts.push(quoted ? quoted[1]!.replaceAll('""', '"') : word[0].toLowerCase());
    rest = rest.slice(word[0].length);
    if (rest === '') break;
    if (!rest.startsWith('.')) return { wrong: `${quoteIfSafe(text)} is not a table name`, right };
    rest = rest.slice(1);
  }
  if (parts.length === 1) return { schema: 'public', name: parts[0]! };
  if (parts.length === 2) return { schema: parts[0]!, name: parts[1]! };
  return { wrong: `${quoteIfSafe(text)} has more than two parts`, right };
}

/** `user@host:port` with its parts optional; IPv6 addresses in brackets when a port follows. */
export interface HostAddress {
  host: string;
  port?: number;
  user?: string;
}

export function parseHostAddress(text: string): HostAddress | { wrong: string; right: string } {
  const right =
    'Write host, user@host or user@host:port, one per line; an IPv6 address in brackets: [2001:db8::1]:22.';
  const at = text.lastIndexOf('@');
  const user = at < 0 ? undefined : text.slice(0, at);
  const place = at < 0 ? text : text.slice(at + 1);
  const bracketed = /^\[([0-9A-Fa-f:.]+)\](?::(\d{1,5}))?$/.exec(place);
  const bare = /^[0-9A-Fa-f:]*:[0-9A-Fa-f:]*:[0-9A-Fa-f:.]*$/.test(place) ? place : undefined;
  const named = /^([A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?)(?::(\d{1,5}))?$/.exec(place);
  const host = bracketed?.[1] ?? bare ?? named?.[1];
  const port = bracketed?.[2] ?? (bare ? undefined : named?.[2]);
  if (host === undefined) return { wrong: 'is not a host', right };
  if (port !== undefined && (Number(port) < 1 || Number(port) > 65_535))
    return { wrong: 'has a port that is not from 1 to 65535', right };
  if (user !== undefined && checkUserName(user)) return { wrong: 'has a user that cannot exist', right };
  return {
    host,
    ...(port === undefined ? {} : { port: Number(port) }),
    ...definedOnly({ user }),
  };
}

/** A login name on the VPS. */
export function checkUserName(user: string): NameProblem {
  return /^[A-Za-z_][A-Za-z0-9._-]{0,63}\$?$/.test(user)
    ? undefined
    : { wrong: 'is not a user name', right: 'Use the login name on the server, such as deploy.' };
}

/** A web address without credentials; `secure`: http is for this machine only. */
export function checkWebUrl(text: string, secure: boolean): NameProblem {
  // The URL parser leaves line breaks out and takes what follows a comma for a path.
  if (/\s/.test(text))
    return { wrong: 'holds white space or a line break', right: 'Give one URL on one line.' };
  if (text.split('://').length > 2) return { wrong: 'holds more than one URL', right: 'Give one.' };
  let url: URL;
  try {
    url = new URL(text);
  } catch {
    return { wrong: 'is not a URL', right: 'It starts with https://.' };
  }
  if (url.protocol !== 'https:' && url.protocol !== 'http:')
    return { wrong: 'is not an http or https URL', right: 'It starts with https://.' };
  if (url.username !== '' || url.password !== '')
    return { wrong: 'holds a user or password', right: 'Give the URL without credentials.' };
  if (secure && url.protocol === 'http:' && !isLoopback(url.hostname))
    return { wrong: 'is not encrypted', right: 'Use https://; http:// is for this machine only.' };
  return undefined;
}

export function checkProjectRef(text: string): NameProblem {
  return /^[a-z0-9]{20}$/.test(text)
    ? undefined
    : {
        wrong: 'is not a project reference',
        right: 'It is the 20 letters in your project URL: https://<project-ref>.supabase.co.',
      };
}
