import { formatBytes } from '../../lib/bytes.js';
import { definedOnly } from '../../lib/defined-only.js';
import type { Problem, TableFact } from '../../lib/report.js';
import { shortenList } from '../../lib/shorten-list.js';
import type { StatementResult } from '../connection/connection.js';
import { jsonField } from '../connection/results.js';
import { CODES } from '../history/error-codes.js';
import { VERSIONS_STATEMENT } from '../history/history-message.js';
import type { RecordedText } from '../history/same-version.js';
import { dollarQuote } from '../sql/sql-text.js';
import {
  countsSql,
  type FactsScope,
  factsSql,
  probeSql,
  type SchemaRules,
  tableListSql,
} from './schema-facts-sql.js';

/** Milliseconds that asking the tables as role anon, and counting their rows, may take. */
const PROBE_TIMEOUT = 5_000;
const COUNT_TIMEOUT = 30_000;
const FACTS_TIMEOUT = 30_000;

/**
 * SQL for the end of a migration's message: raises CODES.notVerified when the schema does not verify,
 * so that such a schema is never committed. What is only told is left to `schemaFactsQuery`.
 */
export function verificationMessage(rules: SchemaRules): string {
  // An index is never built concurrently in a transaction: an invalid one is not of this transaction's making.
  const scope: FactsScope = { rules, thorough: false, invalidIndexFails: false };
  return `do ${dollarQuote(`
declare failed text;
begin
  select jsonb_agg(jsonb_build_object('message', line, 'next', next))::text into failed
    from (${factsSql(scope)}) f, unnest(string_to_array(problem, E'\\n')) line where outcome = 'failed';
  if failed is not null then
    raise exception using errcode = '${CODES.notVerified}', message = failed;
  end if;
end`)};`;
}

/** The message of that error as problems, one per thing that is wrong. */
export function verificationProblems(message: string): Problem[] {
  return JSON.parse(message) as Problem[];
}

export interface VerifyQuestion {
  message: string;
  /** Milliseconds after which no answer can come any more. */
  deadline: number;
}

/**
 * Everything verify wants to know in one message that writes nothing. `strict`: nothing was deployed just now, so an
 * invalid index fails; in a deploy it is told, because it was there before.
 */
export function schemaFactsQuery(rules: SchemaRules, strict = true): VerifyQuestion {
  const scope: FactsScope = { rules, thorough: true, invalidIndexFails: strict };
  const exact = rules.rowCounts === 'exact';
  const probed = rules.rls !== 'off';
  const timed = (milliseconds: number, body: string): string =>
    `set local statement_timeout = ${milliseconds}; do ${dollarQuote(body)};`;
  const message = [
    'set transaction isolation level read committed, read only;',
    `set local lock_timeout = '1s';`,
    ...(probed ? [timed(PROBE_TIMEOUT, probeSql(rules))] : []),
    ...(exact ? [timed(COUNT_TIMEOUT, countsSql(rules))] : []),
    `set local statement_timeout = ${FACTS_TIMEOUT};`,
    VERSIONS_STATEMENT,
    `select (select coalesce(jsonb_agg(f), '[]') from (${factsSql(scope)}) f) as facts,
      (select coalesce(jsonb_agg(t), '[]') from (${tableListSql(rules)}) t) as tables,
      current_setting('muva.probe', true) as probe, current_setting('muva.counts', true) as counts,
      current_setting('muva.history', true) as history;`,
  ].join('\n');
  const work = (probed ? PROBE_TIMEOUT : 0) + (exact ? COUNT_TIMEOUT : 0) + 2 * FACTS_TIMEOUT;
  return { message, deadline: work + 10_000 };
}

/** One row of the facts query. */
interface FactRow {
  fact: string;
  outcome: 'passed' | 'failed' | 'warned';
  detail: string | null;
  /** One line per object that is wrong. */
  problem: string | null;
  next: string;
}

interface TableRow {
  schema: string;
  name: string;
  qualified: string;
  rls: boolean;
  forced: boolean;
  policies: number;
  estimate: number | null;
  bytes: number;
}

/** The answer to `schemaFactsQuery`, read but not judged. */
export interface SchemaRows {
  facts: FactRow[];
  tables: TableRow[];
  /** By qualified table name; under "" why the probe was not made or ended early. Undefined where it was not asked for. */
  probe?: Record<string, string>;
  counts?: Record<string, number>;
  /** What is recorded; undefined where the role may not read it. */
  history?: RecordedText[];
}

export function readSchemaRows(results: readonly StatementResult[]): SchemaRows {
  const facts = jsonField<FactRow[]>(results, 'facts');
  if (!facts) throw new Error('the verify query gave no row');
  const probe = jsonField<Record<string, string>>(results, 'probe');
  const counts = jsonField<Record<string, number>>(results, 'counts');
  const history = jsonField<RecordedText[]>(results, 'history');
  return {
    facts,
    tables: jsonField<TableRow[]>(results, 'tables') ?? [],
    ...definedOnly({ probe, counts, history }),
  };
}

export interface JudgedFact {
  name: string;
  passed: boolean;
  detail?: string;
  problems: Problem[];
  warnings: Problem[];
}

export interface JudgedSchema {
  facts: JudgedFact[];
  tables: TableFact[];
}

/** Turns what the database answered into one verdict per fact, and the list of tables. */
export function judgeSchema(rows: SchemaRows, rules: SchemaRules): JudgedSchema {
  const tables = rows.tables.map((row) => tableFact(row, rows.counts, rules.rowCounts));
  const found = new Map(rows.tables.map((row, index) => [row.qualified, tables[index]!]));
  const facts = rows.facts.map((row) => judgeFact(row, found));
  if (rows.probe) facts.push(judgeProbe(rows.probe));
  if (rules.rowCounts === 'exact') {
    const missing = tables.filter((table) => !table.exact).length;
    facts.push({
      name: 'exact row counts',
      passed: true,
      detail: `${tables.length - missing} of ${tables.length} tables counted`,
      problems: [],
      warnings:
        missing === 0
          ? []
          : [
              {
                message: `${missing} of ${tables.length} tables could not be counted, for time or a lock: their rows are estimates`,
              },
            ],
    });
  }
  return { facts, tables };
}

function tableFact(
  row: TableRow,
  counts: Record<string, number> | undefined,
  mode: SchemaRules['rowCounts'],
): TableFact {
  const counted = counts?.[row.qualified];
  return {
    schema: row.schema,
    name: row.name,
    rows: mode === 'off' ? null : (counted ?? row.estimate),
    exact: counted !== undefined,
    bytes: row.bytes,
    rls: row.rls,
    forced: row.forced,
    policies: row.policies,
  };
}

function judgeFact(row: FactRow, tables: ReadonlyMap<string, TableFact>): JudgedFact {
  const table = row.fact.startsWith('table ') ? tables.get(row.fact.slice('table '.length)) : undefined;
  const detail = [row.detail, table && describeTable(table)].filter(Boolean).join(', ');
  const problems = (row.problem ?? '')
    .split('\n')
    .filter((line) => line !== '')
    .map((message) => ({ message, next: row.next }));
  return {
    name: row.fact,
    passed: row.outcome !== 'failed',
    ...(detail === '' ? {} : { detail }),
    problems: row.outcome === 'failed' ? problems : [],
    warnings: row.outcome === 'warned' ? problems : [],
  };
}

function describeTable({ rows, exact, bytes }: TableFact): string {
  const size = formatBytes(bytes);
  if (rows === null) return size;
  return `${exact || rows === 0 ? '' : 'about '}${rows} ${rows === 1 ? 'row' : 'rows'}, ${size}`;
}

/** What role anon was answered: rows that no policy allows mean that row level security does not bind it. */
function judgeProbe(probe: Record<string, string>): JudgedFact {
  const name = 'row level security binds role anon';
  const ended = probe[''];
  const answers = Object.entries(probe).filter(([table]) => table !== '');
  const problems = answers
    .filter(([, answer]) => answer === 'rows')
    .map(([table]) => ({
      message: `role anon reads rows of ${table} although no policy lets it: row level security does not bind it`,
      next: 'Look whether anon owns the table, is a superuser or has BYPASSRLS.',
    }));
  const count = (...kinds: string[]): number => answers.filter(([, answer]) => kinds.includes(answer)).length;
  const failed = answers.filter(([, answer]) => /^[0-9A-Z]{5}$/.test(answer));
  const broken = failed.filter(([, code]) => !PASSING.test(code));
  problems.push(
    ...broken.map(([table, code]) => ({
      message: `role anon cannot ask ${table}: every query of it fails with ${code}${WORDS[code] ?? ''}`,
      code,
      next: 'Ask it as that role: begin; set local role anon; select from ... limit 1; rollback; and correct its policies, or the functions that they call.',
    })),
  );
  const told = [
    answers.length > 0 ? `${count('none', 'denied')} of ${answers.length} tables give it nothing` : '',
    count('rows by policy') > 0 ? `${count('rows by policy')} give rows by a policy` : '',
    failed.length > 0
      ? `${failed.length} could not be asked (${[...new Set(failed.map(([, code]) => code))].join(', ')})`
      : '',
    ended === undefined ? '' : (ENDED[ended] ?? `not asked: ${ended}`),
  ].filter((text) => text !== '');
  const busy = failed.filter(([, code]) => PASSING.test(code));
  const warnings = [
    ...(ended === 'time'
      ? [{ message: `role anon was not asked for every table within ${PROBE_TIMEOUT / 1_000} s` }]
      : []),
    ...(busy.length > 0
      ? [
          {
            message: `role anon could not be asked for ${shortenList(busy.map(([table, code]) => `${table} (${code})`))}`,
          },
        ]
      : []),
  ];
  return { name, passed: problems.length === 0, detail: told.join(', '), problems, warnings };
}

/** Errors that say nothing of the table: a lock, a shortage, a server that goes down, a policy that writes (not here). */
const PASSING = /^(55P03|25006|40...|53...|57...)$/;
/** What the commonest codes mean. */
const WORDS: Readonly<Record<string, string>> = {
  '42P17': ', because its policies ask the table itself (infinite recursion)',
  '42883': ', because a policy calls a function that does not exist',
};

const ENDED: Readonly<Record<string, string>> = {
  time: 'ended early for time',
  'no role anon': 'not asked: there is no role anon',
  '42501': 'not asked: this login may not become anon',
};
