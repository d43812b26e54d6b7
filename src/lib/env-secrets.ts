import { isUnmaskable } from './secret.js';

/** Names whose values are meant for the browser, and so for everybody. */
const PUBLIC = /^(NEXT_PUBLIC|VITE|PUBLIC|NUXT_PUBLIC|REACT_APP|EXPO_PUBLIC|GATSBY)_/;

const SECRET_WORDS = /KEY|SECRET|TOKEN|PASS|PWD|CREDENTIAL|PRIVATE|AUTH|DSN|SALT|COOKIE|WEBHOOK/i;

/** True for what names such as API_KEY or MAIL_PASSWORD hold, as far as the name tells. */
export function isSecretByName(name: string, value: string): boolean {
  return SECRET_WORDS.test(name) && !PUBLIC.test(name) && !isPlain(name, value);
}

/**
 * The last word of the name decides what it holds: AUTH_SCHEMA, TOKEN_ISSUER and REFRESH_TOKEN_TTL tell about a
 * secret, API_TOKEN and DB_PASSWORD are one.
 */
function isAboutSecret(name: string): boolean {
  return !SECRET_WORDS.test(name.split(/[_.-]/).filter(Boolean).at(-1) ?? '');
}

/**
 * Values that a name alone makes no secret: a mask hides every occurrence, and 2024 or public stand in versions,
 * schemas and sentences. A number of five digits keeps nothing secret anyway.
 */
function isPlain(name: string, value: string): boolean {
  return /^\d{1,5}$/.test(value) || (isAboutSecret(name) && /^[a-z]{1,10}$/.test(value));
}

/** A value without such a name is taken for a secret from this length on. */
const LONG = 16;

/**
 * The values in an environment file that must not be seen alone either: programs print them without their names.
 * Ordinary words, plain host names and URLs without a password stay readable, unless their name says otherwise.
 */
export function envSecrets(text: string): string[] {
  const values: string[] = [];
  for (const line of text.replace(/^\uFEFF/, '').split(/\r?\n/)) {
    const match = /^\s*(?:export\s+)?([\w.-]+)(?:\s*=\s*|:\s+)(.*?)\s*$/.exec(line);
    if (!match || PUBLIC.test(match[1]!)) continue;
    const value = unquotedValue(match[2]!);
    const password = passwordIn(value);
    if (password.length === 0 && !isSecretByName(match[1]!, value) && !looksSecret(value)) continue;
    values.push(value, ...password);
  }
  return values.filter((value) => !isUnmaskable(value));
}

/** Without its quotes, or without the comment behind it. A quote that goes on in the next line is cut off. */
function unquotedValue(text: string): string {
  const quote = /^["'`]/.exec(text)?.[0];
  if (quote === undefined) return text.replace(/\s+#.*$/, '');
  const end = text.indexOf(quote, 1);
  return end === -1 ? text.slice(1) : text.slice(1, end);
}

function looksSecret(value: string): boolean {
  if (value.length < LONG || /^[a-z]+:\/\//i.test(value)) return false;
  return /\d/.test(value) || !/^[A-Za-z.,_/ -]*$/.test(value);
}

/** The password of a URL, raw and decoded. */
function passwordIn(value: string): string[] {
  const raw = /^[a-z][a-z0-9+.-]*:\/\/[^\s/@:]*:([^\s/@]+)@/i.exec(value)?.[1];
  if (raw === undefined) return [];
  try {
    return [raw, decodeURIComponent(raw)];
  } catch {
    return [raw];
  }
}
