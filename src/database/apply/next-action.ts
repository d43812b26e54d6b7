import type { SqlError } from '../connection/sql-error.js';
import { CODES } from '../history/error-codes.js';
import type { PlannedFile } from '../migrations/batches.js';

const NEXT: Readonly<Record<string, string>> = {
  '55P04':
    'A value added to an enum can be used only after the commit: use it in a file of its own, after this one.',
  '2D000': 'A procedure that commits cannot run inside a migration: call it by hand after the deploy.',
  '57014':
    'Where it was the time-out: raise statement-timeout, which limits a whole file, or split the file.',
  '53100': 'The disk of the database is full: make room, then run again.',
  '25006':
    'The database is read-only by default, and behind a transaction pooler that holds for what runs outside a transaction: give the session pooler or direct URL (port 5432).',
  '55006':
    'Put SET CONSTRAINTS ALL IMMEDIATE before the statement, so that deferred checks are made there; or the statement into a file of its own, behind a COMMIT.',
  [CODES.tampered]: 'Remove what touches supabase_migrations: the history is kept by this action.',
};

/** What a person can do about an error of a file; undefined where only the file itself can tell. */
export function nextActionOfError(error: SqlError, { shape, source }: PlannedFile): string | undefined {
  const { code, message, hint } = error;
  if (code === '57014' && shape.timed)
    return 'Where it was the time-out: the file sets statement_timeout itself.';
  const own = NEXT[code];
  if (own !== undefined) return own;
  if (code.startsWith('58'))
    return 'This is a fault of the server (a missing library or file), not of the migration.';
  if (/replication slot .* already exists/.test(message))
    return 'The publisher has a slot of that name, which a try that was cut leaves there: select pg_drop_replication_slot(<its name>); on the publisher, then run again.';
  if (code === '42501') return hint ?? mayNot(message);
  if (code === '42704' && /^unrecognized configuration parameter/.test(message))
    return 'This server does not know that setting, as where the dump of a newer version is run: Remove the line.';
  const exists = existsAlready(code, message);
  if (exists !== undefined)
    return (
      cutName(message, source) ??
      `It exists already: was it made by hand, or by a file whose history row is missing? Compare; where it is the same, use baseline. Where the file is to bear it: ${exists}.`
    );
  if (DEPENDS.has(code) && /depend|used by a view|used in a/.test(`${message} ${hint ?? ''}`))
    return depends(message);
  return hint;
}

function mayNot(message: string): string {
  const owner = /^must be owner of/.test(message)
    ? ' What belongs to Supabase itself (schemas auth, storage, realtime) has an owner that nobody can be: change it in the dashboard.'
    : '';
  return `The role may not do this: grant the right, or use the role that owns the object.${owner}`;
}

/** Of what exists already: how SQL says the same so that it does no harm. By SQLSTATE, then by what the message names. */
const EXISTS: readonly (readonly [code: string, message: RegExp, how: string])[] = [
  ['42701', /./, 'ADD COLUMN IF NOT EXISTS'],
  ['42723', /./, 'CREATE OR REPLACE FUNCTION'],
  ['42P06', /./, 'CREATE SCHEMA IF NOT EXISTS'],
  ['42P16', /multiple primary keys/, 'ALTER TABLE ... DROP CONSTRAINT IF EXISTS before it'],
  ['42710', /^policy /, 'DROP POLICY IF EXISTS before it'],
  ['42710', /^trigger /, 'CREATE OR REPLACE TRIGGER'],
  ['42710', /^constraint /, 'ALTER TABLE ... DROP CONSTRAINT IF EXISTS before it'],
  ['42710', /^enum label /, 'ALTER TYPE ... ADD VALUE IF NOT EXISTS'],
  ['42710', /^extension /, 'CREATE EXTENSION IF NOT EXISTS'],
  ['42710', /is already member of publication/, 'a DO block that looks into pg_publication_tables first'],
  ['42710', /^type /, 'a DO block that looks into pg_type first'],
  ['42710', /^role /, 'a DO block that looks into pg_roles first'],
  ['42710', /./, 'a DO block that looks whether it is there'],
  // Also a type, which has the name of a relation.
  ['42P07', /./, 'IF NOT EXISTS, which does nothing where another table of that name is there'],
];

/** SQLSTATEs of statements that make what is there already. */
export const EXISTS_ALREADY: ReadonlySet<string> = new Set(EXISTS.map(([code]) => code));

function existsAlready(code: string, message: string): string | undefined {
  return EXISTS.find(([each, pattern]) => each === code && pattern.test(message))?.[2];
}

/** The longest name that PostgreSQL keeps, in bytes. */
const LONGEST_NAME = 63;

/** Two names of a file that are one for the server, because it keeps only the beginning. */
function cutName(message: string, source: string): string | undefined {
  const name = /"([^"]+)"/.exec(message)?.[1];
  if (name === undefined || Buffer.byteLength(name) < LONGEST_NAME - 3) return undefined;
  const index = source.indexOf(name);
  const longer = index !== -1 && !/^["\s;(]/.test(source.slice(index + name.length));
  return longer
    ? `PostgreSQL keeps ${LONGEST_NAME} bytes of a name, so that two of this file are one: shorten them.`
    : undefined;
}

const DEPENDS = new Set(['2BP01', '0A000', '42P16']);

function depends(message: string): string {
  if (/^role /.test(message))
    return 'Give away what it owns and take its rights away before it, in the same file: REASSIGN OWNED BY ..., then DROP OWNED BY ....';
  return 'Drop or change what depends on it before it, in the same file, and make it again behind it. CASCADE would drop all of that.';
}
