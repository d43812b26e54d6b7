import type { DatabaseAddress } from '../../lib/database-address.js';
import { isLoopback } from '../../lib/loopback.js';
import { Secret } from '../../lib/secret.js';
import { readUrlParameters } from './url-parameters.js';

export type ParsedDatabaseUrl = { address: DatabaseAddress } | { wrong: string; right: string };

/** `[YOUR-PASSWORD]` as Supabase has it, its relatives, and what encoding makes of the brackets. */
const PLACEHOLDER = /(\[|<|%5B|%3C)(your|my|the)?[-_ +]*(db|database)?[-_ +]*password(\]|>|%5D|%3E)/i;

const ENCODE =
  'In a URL the password must be percent-encoded: @ is %40, # is %23, / is %2F, ? is %3F, % is %25.';

/**
 * Takes a `postgres://user:password@host:port/database` apart, strictly and without any look-up.
 * The driver's own parser would take half of a password with a raw `@` or `#` for the host name and send it
 * to a name server, so whatever is doubtful is refused here. No part of the input appears in a complaint.
 */
export function parseDatabaseUrl(text: string): ParsedDatabaseUrl {
  if (PLACEHOLDER.test(text)) {
    return {
      wrong: 'still holds the placeholder for the password',
      right: 'Put the real database password into the secret.',
    };
  }
  if (/[\s\p{Cc}]/u.test(text)) {
    return {
      wrong: 'holds white space or a line break inside the URL',
      right: 'Copy the URL again as one line.',
    };
  }
  const scheme = /^postgres(ql)?:\/\//.exec(text);
  if (!scheme)
    return { wrong: 'is not a Postgres URL', right: 'It starts with postgresql:// or postgres://.' };
  const rest = text.slice(scheme[0].length);
  const ats = rest.split('@').length - 1;
  if (ats > 1) return { wrong: 'holds more than one @', right: ENCODE };
  if (rest.includes('#')) return { wrong: 'holds a raw #', right: ENCODE };
  if (ats === 0)
    return { wrong: 'has no user', right: 'Give it as postgresql://user:password@host:port/database.' };
  const credentials = rest.slice(0, rest.indexOf('@'));
  if (/[/?]/.test(credentials)) return { wrong: 'has a raw / or ? before the @', right: ENCODE };

  let url: URL;
  try {
    url = new URL(`postgresql://${rest}`);
  } catch {
    return { wrong: 'cannot be read as a URL', right: `Check host and port. ${ENCODE}` };
  }
  let user: string;
  let password: string;
  let database: string;
  try {
    user = decodeURIComponent(url.username);
    password = decodeURIComponent(url.password);
    database = decodeURIComponent(url.pathname.slice(1));
  } catch {
    return { wrong: 'holds a % that is not followed by two hex digits', right: ENCODE };
  }
  const host = url.hostname.replace(/^\[|\]$/g, '');
  if (host === '')
    return { wrong: 'has no host', right: 'Give it as postgresql://user:password@host:port/database.' };
  if (!/^[A-Za-z0-9._:-]+$/.test(host)) return { wrong: 'has a host name that cannot exist', right: ENCODE };
  if (user === '')
    return { wrong: 'has no user', right: 'Give it as postgresql://user:password@host:port/database.' };
  if (database.includes('/'))
    return { wrong: 'has more than one path segment', right: 'One database name follows the port.' };
  const loopback = isLoopback(host);
  if (password === '' && !loopback)
    return { wrong: 'has no password', right: 'Give it as postgresql://user:password@host:port/database.' };
  const parameters = readUrlParameters(url.searchParams);
  if ('wrong' in parameters) return parameters;
  return {
    address: {
      host,
      port: url.port === '' ? 5432 : Number(url.port),
      user,
      password: new Secret(password),
      database: database === '' ? 'postgres' : database,
      loopback,
      ...parameters,
    },
  };
}

/** The Supabase project of a database URL: in the direct host's name, or in the user's for a pooler. */
export function projectRefOf({ host, user }: Pick<DatabaseAddress, 'host' | 'user'>): string | undefined {
  if (/\.pooler\.supabase\.com$/i.test(host)) return /\.([a-z0-9]{20})$/.exec(user)?.[1];
  return /^db\.([a-z0-9]{20})\.supabase\.co$/i.exec(host)?.[1];
}
