import { basename, dirname } from 'node:path';
import { textStart } from '../../lib/cut-text.js';
import { Failure, type Problem } from '../../lib/report.js';
import type { DatabaseAccess } from '../connection/connection.js';
import { jsonField } from '../connection/results.js';
import { retryRead } from '../connection/retry-read.js';
import { failureOf } from '../connection/sql-problem.js';
import { CODES } from '../history/error-codes.js';
import { openFolder, outside } from '../migrations/project-folder.js';
import { nodesOf } from '../sql/parse-tree.js';
import { loadParser, type Parse } from '../sql/parser.js';
import { positionIn } from '../sql/source-text.js';
import { dollarQuote, literal } from '../sql/sql-text.js';
import type { DeployCheck } from './deploy-check.js';

/** One file of `verify-sql`: a query whose rows are what is wrong with the schema. */
export interface OwnCheck {
  /** Path from the working directory. */
  readonly file: string;
  /** The query alone, without a semicolon. */
  readonly query: string;
}

/** What one query found. */
export interface OwnCheckResult {
  readonly file: string;
  readonly rows: number;
  /** The first values of its column `problem`; empty where it has none. */
  readonly problems: readonly string[];
  /** Why it gave no answer. */
  readonly failed?: string;
}

/** Milliseconds that one query may take. */
const CHECK_TIMEOUT = 10_000;
/** After so many of them a query that is cancelled has met its own limit: that counts from before its clock is read. */
const SURELY_ITS_OWN = CHECK_TIMEOUT - 1_000;
/** Milliseconds that a query waits for a lock where nothing is to be committed. */
const LOOK_LOCK_TIMEOUT = 5_000;
/** How many values of `problem` are told of each file, and the characters of each. */
const MOST_TOLD = 10;
const LONGEST_TOLD = 200;

/** Reads and parses the files; all problems of all files at once. `entries`: folders, and files that end in .sql. */
export async function readOwnChecks(
  workingDirectory: string,
  entries: readonly string[],
): Promise<{ checks: OwnCheck[]; problems: Problem[] }> {
  const checks = new Map<string, OwnCheck>();
  const problems: Problem[] = [];
  if (entries.length === 0) return { checks: [], problems };
  const parse = await loadParser();
  for (const entry of entries) {
    const path = entry.replace(/^(?:\.\/+)+|\/+$/g, '');
    const single = path.endsWith('.sql');
    const where = single ? dirname(path) : path;
    try {
      const folder = await openFolder(workingDirectory, where);
      const names = single
        ? [basename(path)]
        : folder.names.filter((name) => name.endsWith('.sql')).toSorted();
      if (names.length === 0) problems.push(unreadable(entry, 'holds no .sql file'));
      for (const name of names) {
        const file = where === '.' ? name : `${where}/${name}`;
        const read = textOf(folder.read(name), file);
        const checked = typeof read === 'string' ? checkOf(file, read, parse) : read;
        if ('query' in checked) checks.set(file, checked);
        else problems.push(checked);
      }
    } catch (error) {
      problems.push(...(error instanceof Failure ? error.problems : [unreadable(entry, 'cannot be read')]));
    }
  }
  return { checks: [...checks.values()], problems };
}

function unreadable(entry: string, what: string): Problem {
  return {
    message: `verify-sql: ${entry} ${what}`,
    next: 'Name a folder with .sql files, or the files themselves, from working-directory on.',
  };
}

function textOf(
  fetched: Buffer | 'outside' | 'no file' | { code: string } | undefined,
  file: string,
): string | Problem {
  if (fetched === 'outside') return outside(file);
  if (fetched === undefined || fetched === 'no file') return unreadable(file, 'is not there');
  if ('code' in fetched) return unreadable(file, `cannot be read (${fetched.code})`);
  try {
    const text = new TextDecoder('utf-8', { fatal: true }).decode(fetched);
    if (!text.includes('\0')) return text;
  } catch {
    // Told below, as a NUL is.
  }
  return { ...unreadable(file, 'is not UTF-8 text'), next: 'Save the file as UTF-8.' };
}

const WRITES = new Set(['InsertStmt', 'UpdateStmt', 'DeleteStmt', 'MergeStmt']);

/** The one query of a file, or why it is none. */
function checkOf(file: string, source: string, parse: Parse): OwnCheck | Problem {
  const refuse = (what: string, index = 0): Problem => ({
    message: `verify-sql: ${file} ${what}`,
    at: positionIn(file, source, index),
    next: 'Each file holds one SELECT that gives a row for each thing that is wrong, and none where all is well.',
  });
  const parsed = parse(source);
  if (parsed.statements === undefined)
    return parsed.wrong === undefined
      ? refuse('is too large to be parsed')
      : refuse(`cannot be parsed: ${parsed.wrong.message}`, parsed.wrong.index);
  const [first, second] = parsed.statements;
  if (first === undefined) return refuse('holds no statement');
  if (second !== undefined) return refuse(`holds ${parsed.statements.length} statements`, second.from);
  if (first.kind !== 'SelectStmt') return refuse('holds no SELECT', first.from);
  for (const node of nodesOf(first.node)) {
    if ('intoClause' in node) return refuse('makes a table (SELECT INTO)', first.from);
    if ('lockingClause' in node) return refuse('locks rows (FOR UPDATE and its kin)', first.from);
    if (Object.keys(node).some((kind) => WRITES.has(kind)))
      return refuse('changes rows in its WITH', first.from);
  }
  return { file, query: source.slice(first.from, first.to) };
}

/** Milliseconds that all of them may take. */
export function ownChecksTime(checks: readonly OwnCheck[]): number {
  return checks.length * CHECK_TIMEOUT;
}

/**
 * SQL for the end of a migration's message: raises CODES.notVerified where a query gives a row, so that such a schema
 * is never committed. What another session is to blame for (a lock, a server that stops) is raised as it is.
 * `statementTimeout`: milliseconds that what stands behind may take.
 */
export function ownChecksMessage(checks: readonly OwnCheck[], statementTimeout: number): string {
  if (checks.length === 0) return '';
  return `${checks.map((check) => askSql(check, true)).join('\n')}
do ${dollarQuote(`
declare failed text;
begin
  select jsonb_agg(f)::text into failed from jsonb_array_elements(${FOUND}) f
    where (f ->> 'rows')::bigint > 0 or f ? 'failed';
  if failed is not null then
    raise exception using errcode = '${CODES.ownChecks}', message = failed;
  end if;
end`)};
select ${timeLimit(statementTimeout)};`;
}

/** The message of that error as problems, one per file. */
export function ownCheckProblems(message: string): Problem[] {
  return (JSON.parse(message) as OwnCheckResult[]).flatMap(problemsOfCheck);
}

const timeLimit = (milliseconds: number): string =>
  `pg_catalog.set_config('statement_timeout', '${milliseconds}ms', true)`;

const FOUND = `coalesce(nullif(pg_catalog.current_setting('muva.own_checks', true), ''), '[]')::jsonb`;

/**
 * Runs one query in a sub-transaction that cannot write and is always undone, and adds what it found to
 * `muva.own_checks`. Of its rows only their number and the column `problem` leave the database.
 */
function askSql({ file, query }: OwnCheck, raising: boolean): string {
  const counted = `select count(*), coalesce(jsonb_agg(problem) filter (where place <= ${MOST_TOLD} and problem is not null), '[]')
    from (select left(to_jsonb("muva row") ->> 'problem', ${LONGEST_TOLD + 1}) as problem, row_number() over () as place
      from (${query}\n) as "muva row") as found`;
  return `select ${timeLimit(CHECK_TIMEOUT)};
do ${dollarQuote(`
declare began timestamptz := clock_timestamp(); found bigint := 0; told jsonb := '[]'; failed text;
begin
  begin
    set local transaction_read_only = on;
    execute ${dollarQuote(counted)} into found, told;
    raise exception using errcode = '${CODES.undone}';
  exception when sqlstate '${CODES.undone}' then null;
    when query_canceled then
      if clock_timestamp() - began < interval '${SURELY_ITS_OWN} ms' then raise; end if;
      failed := 'no answer within ${CHECK_TIMEOUT / 1_000} s';
    when others then
      ${raising ? `if left(sqlstate, 2) in ('40', '53', '55', '57', '58') then raise; end if;` : ''}
      failed := sqlerrm;
  end;
  perform pg_catalog.set_config('muva.own_checks', (${FOUND} || jsonb_build_array(jsonb_strip_nulls(
    jsonb_build_object('file', ${literal(file)}, 'rows', found, 'problems', told, 'failed', failed))))::text, true);
end`)};`;
}

/** Asks the database as it is, in one message that writes nothing; one result per file, in their order. */
export async function askOwnChecks(
  { database, signal }: DatabaseAccess,
  checks: readonly OwnCheck[],
): Promise<OwnCheckResult[]> {
  if (checks.length === 0) return [];
  const message = [
    'set transaction isolation level read committed, read only;',
    `set local lock_timeout = '${LOOK_LOCK_TIMEOUT}ms';`,
    ...checks.map((check) => askSql(check, false)),
    `select ${FOUND} as found;`,
  ].join('\n');
  const deadline = ownChecksTime(checks) + 10_000;
  try {
    const results = await retryRead(signal, () => database.send(message, { deadline, signal }));
    return jsonField<OwnCheckResult[]>(results, 'found') ?? [];
  } catch (error) {
    throw failureOf(error, 'running the queries of verify-sql');
  }
}

/** What is wrong by the word of one query; empty where it gave no row. */
export function problemsOfCheck({ file, rows, problems, failed }: OwnCheckResult): Problem[] {
  const at = { file, line: 1, column: 1 };
  if (failed !== undefined)
    return [
      {
        message: `verify-sql: the query of ${file} failed: ${inOneLine(failed)}`,
        at,
        next: 'Correct the query; it runs as the role of database-url, and may only read.',
      },
    ];
  if (rows === 0) return [];
  const told = problems.map((problem) => JSON.stringify(inOneLine(problem)));
  const more = told.length > 0 && rows > told.length ? [`and ${rows - told.length} more`] : [];
  const named = told.length === 0 ? '' : `: ${[...told, ...more].join(', ')}`;
  return [
    {
      message: `verify-sql: ${file} finds ${rowsOf(rows)} where there should be none${named}`,
      at,
      next: 'Add the migration that mends what it finds, or correct the query.',
    },
  ];
}

/** `3 rows`. */
export function rowsOf(rows: number): string {
  return rows === 1 ? '1 row' : `${rows} rows`;
}

/** Cut between words before anything else: half a secret would not be redacted. */
function inOneLine(text: string): string {
  return textStart(text, LONGEST_TOLD).replaceAll(/\s+/g, ' ').trim();
}

/** What the queries find now, for a plan: it stays so where nothing is pending; what is pending may mend it. */
export function judgeOwnChecks(found: readonly OwnCheckResult[], pending: boolean): DeployCheck {
  const problems = found.flatMap(problemsOfCheck);
  const asked = found.length === 1 ? '1 query' : `${found.length} queries`;
  const detail =
    problems.length === 0 ? `${asked}, no row` : `${problems.length} of ${asked} found something`;
  if (pending)
    return {
      detail,
      refusals: [],
      warnings: problems.map((problem) => ({
        ...problem,
        next: 'A deploy is refused at its end, and nothing of it is committed, unless what is pending mends that.',
      })),
    };
  return {
    detail,
    refusals: problems.map((problem) => ({
      ...problem,
      message: `${problem.message}, and nothing is pending`,
    })),
    warnings: [],
  };
}
