/**
 * The page docs/measured-plan.md: what the plan's rules say of statements, beside what a scratch database was measured
 * to do. `node build/scripts/measured-page.js --write` writes it; a test compares it.
 */
import { writeFileSync } from 'node:fs';
import { pathToFileURL } from 'node:url';
import { type PostgresServer, startPostgres } from '../__tests__/servers/postgres.js';
import { createProject, runMigrate, withTools } from '../__tests__/servers/project.js';
import { isDestructive, type LintFinding } from '../src/database/lint/lint.js';
import {
  describeMeasured,
  type Measured,
  strengthOf,
  strongestLock,
} from '../src/database/measure/held-locks.js';
import { type MeasuredStatement, measurePlan } from '../src/database/measure/measure.js';
import { planDatabase } from '../src/database/plan.js';
import { planOrder } from '../src/pipeline/plan-order.js';

export const PAGE = 'docs/measured-plan.md';

/** What was there before: the applied file of both databases. */
const BEFORE = `create type public.mood as enum ('a', 'b');
create type public.address as (street text, zip text);
create domain public.d as int;
create domain public.positive as int check (value > 0);
create table public.u (id int primary key);
create table public.t (id int primary key, a int, name varchar(10), r int4range, at timestamptz);
create index i on public.t (a);
create unique index k_idx on public.t (name);
create view public.v as select id from public.t;
create materialized view public.m as select id from public.t;
create table public.td (x public.d);
create table public.old (id int, a int, name varchar(10), r int4range, at timestamptz);
create table public.p (id int, a int) partition by range (id);
create table public.p1 partition of public.p for values from (0) to (10);
create table public.p2 (id int, a int);
create table public.proven (id int, constraint there check (id is not null));
create sequence public.s;
create schema app;
create table app.x (id int);
alter table public.t enable row level security;
create policy own on public.t using (true);
create function public.roll() returns int language sql volatile as 'select 4';
create function public.f() returns trigger language plpgsql as $$ begin return new; end $$;
insert into public.u select generate_series(1, 50);
insert into public.t select n, n, n::text from generate_series(1, 50) n;`;

const MOMENT =
  'The lock is real, and held for a moment: nothing is looked at or written, so the rules are silent.';
const SAME_BYTES =
  'A longer varchar has the same bytes: nothing is written, which the rules cannot know. What was measured stands, and nothing is told.';
const VIEW = 'No data goes: the rules are silent. Code that still reads it fails.';

/** Each statement, and where rules and measurement differ: why. */
const STATEMENTS: readonly (readonly [sql: string, why?: string])[] = [
  ['alter table public.t add column c uuid default gen_random_uuid()'],
  ['alter table public.t add column c timestamptz default clock_timestamp()'],
  ['alter table public.t add column c int default (random() * 10)::int'],
  [
    'alter table public.t add column c int default public.roll()',
    'The function says that it is volatile, but PostgreSQL puts its body, a constant, in its place.',
  ],
  ['alter table public.t add column c timestamptz default now()', MOMENT],
  ["alter table public.t add column c text default lower('X')", MOMENT],
  ['alter table public.t add column c int generated always as (id * 2) stored'],
  ['alter table public.t add column c bigserial'],
  ['alter table public.t add column c bigint generated always as identity'],
  [
    'alter table public.t add column c public.positive default 1',
    'The rules see the name of a type, not that it is a domain with a CHECK. Only the measurement knows, and is told: measured-rewrite.',
  ],
  ['alter table public.t add column c int references public.u (id)'],
  ['alter table public.t add column c int check (c > 0)'],
  ['alter table public.t add column c text unique'],
  ['alter table public.t add constraint k unique using index k_idx', MOMENT],
  ['alter table public.t add constraint k foreign key (a) references public.u (id)'],
  ['alter table public.t add constraint k foreign key (a) references public.u (id) not valid', MOMENT],
  ['alter table public.t add constraint k check (a > 0)'],
  ['alter table public.t add constraint k check (a > 0) not valid', MOMENT],
  ['alter table public.t add constraint k exclude using gist (r with &&)'],
  ['alter table public.t alter column a type bigint'],
  ['alter table public.t alter column name type varchar(20)', SAME_BYTES],
  ['alter table public.t alter column name type text', SAME_BYTES],
  ['alter table public.t alter column a set not null'],
  [
    'alter table public.proven alter column id set not null',
    'The lock is real, and held for a moment: a validated CHECK says already that no row has to be looked at.',
  ],
  ['alter table public.t alter column a drop not null'],
  ['alter table public.t alter column a set default 5', MOMENT],
  ['alter table public.t rename column a to b'],
  ['alter table public.t rename to t2'],
  ['alter table public.t set schema app'],
  ['alter table public.p detach partition public.p1'],
  ['alter table public.p attach partition public.p2 for values from (10) to (20)'],
  ['alter table public.t set unlogged'],
  ['alter table public.t disable row level security'],
  ['alter table public.t disable trigger all', MOMENT],
  ["alter type public.mood add value 'x'"],
  ['alter type public.address drop attribute zip'],
  ['alter domain public.d add constraint k check (value > 0)'],
  [
    'create index on only public.p (a)',
    'A partitioned table has no rows of its own: the index is a name, made in a moment.',
  ],
  ['create index on public.t (at)'],
  [
    'create index concurrently on public.t (at)',
    'No transaction can hold it, so it cannot be undone. It keeps nobody out, and the rules are silent.',
  ],
  ['drop index public.i'],
  ['drop view public.v', VIEW],
  ['drop materialized view public.m', VIEW],
  ['drop policy own on public.t'],
  ['drop schema app cascade'],
  ['drop table public.old'],
  ['truncate public.old'],
  ['reindex table public.t'],
  ['cluster public.t using i'],
  ['refresh materialized view public.m'],
  ['lock table public.t in access exclusive mode'],
  ['create trigger tr before update on public.t for each row execute function public.f()', MOMENT],
  ['create table public.n (id int references public.u (id))', MOMENT],
  ['update public.t set a = 1'],
  ['delete from public.t'],
  ["do $$ begin execute 'alter table public.t alter column a type bigint'; end $$"],
  [
    'select 1 / count(*) from public.old',
    'What fails for want of rows is left to the rules, which have nothing to say of a SELECT.',
  ],
  [
    'alter role postgres set statement_timeout = 0',
    'It reaches beyond the scratch database, so it is not run there.',
  ],
];
export const STATEMENT_COUNT = STATEMENTS.length;

interface Beside {
  sql: string;
  why: string | undefined;
  findings: LintFinding[];
  seen: MeasuredStatement | undefined;
}

/** Plans and measures each statement alone, on real servers; `wrong`: where a reason for a difference is missing, or too much. */
export async function measuredPage(
  target: PostgresServer,
  scratch: PostgresServer,
): Promise<{ page: string; wrong: string[] }> {
  const url = await target.createDatabase();
  const project = createProject({ '1_before.sql': BEFORE });
  try {
    const { report } = await runMigrate(project, url, { inputs: { rls: 'off' } });
    if (report.outcome !== 'passed') throw new Error(JSON.stringify(report.problems));
    const shadow = await scratch.createDatabase();
    const rows: Beside[] = [];
    for (const [sql, why] of STATEMENTS) {
      project.write({ '2_one.sql': `${sql};` });
      rows.push({ ...(await beside(project, url, shadow, sql)), why });
    }
    return pageOf(rows);
  } finally {
    project.delete();
  }
}

async function beside(
  project: ReturnType<typeof createProject>,
  url: string,
  shadow: string,
  sql: string,
): Promise<Omit<Beside, 'why'>> {
  const inputs = { mode: 'plan', 'shadow-database-url': shadow };
  return withTools(project, url, { inputs }, async (work) => {
    const planned = await planDatabase(work, planOrder(work.settings));
    const { database: rules, workingDirectory } = work.settings;
    const setting = { ...rules, workingDirectory, shadow: rules.shadow!, serverMajor: 17 };
    const { statements, why } = await measurePlan(work, setting, planned.pending);
    if (why !== undefined) throw new Error(`${sql}: ${why}`);
    return { sql, findings: planned.findings, seen: statements[0] };
  });
}

const HEAD = `# The measured plan

With \`shadow-database-url\` the plan asks PostgreSQL itself: each pending statement runs on the scratch database in a transaction
that is undone, and the locks that it still holds on what was there before are read from \`pg_locks\`, with what it wrote anew
and which indexes it built. What was measured takes the place of what the rules guess. Durations are not measured: the tables
there are empty. How to set it up: [down files](down-files.md#knowing-that-they-fit).

This page is written and checked by a test (\`scripts/measured-page.ts\`, PostgreSQL 17): what the rules say of a statement, what
was measured, and why they differ where they do.

| statement | the rules | measured | where they differ, why |
| --- | --- | --- | --- |
`;

function pageOf(rows: readonly Beside[]): { page: string; wrong: string[] } {
  const lines = rows.map(
    (row) => `| \`${row.sql}\` | ${guessed(row)} | ${measuredText(row)} | ${row.why ?? ''} |`,
  );
  const wrong = rows.flatMap((row) => {
    const differs = differ(row);
    if (differs === (row.why !== undefined)) return [];
    const what = differs
      ? 'they differ, and no reason is given'
      : 'a reason is given, and they do not differ';
    return [`${row.sql}: ${what}: ${guessed(row)} / ${measuredText(row)}`];
  });
  return { page: `${HEAD}${lines.join('\n')}\n`, wrong };
}

function guessed({ findings }: Beside): string {
  if (findings.length === 0) return 'nothing';
  return findings
    .map(({ rule, effect, lock }) => `${rule}: ${effect}${lock === undefined ? '' : `, ${lock}`}`)
    .join('; ');
}

function measuredText({ seen }: Beside): string {
  if (!seen) return 'nothing';
  return seen.measured ? describeMeasured(seen.measured) : `not measured: ${seen.why}`;
}

/** A lock that keeps others out, or a table written anew, of which only one of both knows. */
function differ({ findings, seen }: Beside): boolean {
  if (!seen?.measured) return true;
  const measured = seen.measured;
  const told = findings.filter((finding) => !isDestructive(finding));
  if (told.length < findings.length) return false;
  const writes = told.some(({ effect }) => effect === 'rewrites');
  if (writes !== writesTables(measured)) return true;
  const seenLock = strongestLock(measured);
  if (told.length === 0) return strengthOf(seenLock) >= strengthOf('SHARE');
  return !told.some(({ lock }) => lock === seenLock);
}

function writesTables({ rewritten, locks }: Measured): boolean {
  return rewritten.some((name) => !locks.some(({ relation, isIndex }) => relation === name && isIndex));
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) {
  const [target, scratch] = [await startPostgres(), await startPostgres()];
  try {
    const { page, wrong } = await measuredPage(target, scratch);
    if (process.argv.includes('--write')) writeFileSync(PAGE, page);
    else console.log(page);
    for (const line of wrong) console.error(line);
    if (wrong.length > 0) process.exitCode = 1;
  } finally {
    await target.stop();
    await scratch.stop();
  }
}
