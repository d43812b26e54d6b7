/** Small inputs from public reports, one folder each: the project, what is done with it, and here what must come of it. */
import assert from 'node:assert/strict';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import pg from 'pg';
import { verify } from '../../src/pipeline/verify.js';
import { type PostgresServer, query, startPostgres } from '../servers/postgres.js';
import {
  createProject,
  type Files,
  type Inputs,
  type Project,
  type Ran,
  runMigrate,
  runPlanPhase,
  withTools,
} from '../servers/project.js';

/** What must come of a step of `case.json`. */
interface Expected {
  /** Passed where it is not said. */
  outcome?: 'failed';
  /** What one of the problems says, with place and next step: `file:line:column: message -> next`. */
  says?: RegExp;
  /** The same of what is told on the way. */
  told?: RegExp;
  /** How many batches a plan or migrate tells of. */
  batches?: number;
  /** What is said nowhere. */
  never?: RegExp;
  /** Of a step that looks. */
  rows?: unknown[];
}

const PASSED: Expected = {};

/** Folder, what it shows, and what must come of each of its steps that runs or looks. */
const REPORTS: [folder: string, title: string, steps: Expected[]][] = [
  [
    'begin-commit-around-cic',
    'row 28: pairs around CREATE INDEX CONCURRENTLY are told once',
    [{ told: /commits? it in 2 parts/, never: /one transaction anyway/ }, PASSED],
  ],
  ['set-transaction', 'row 28: the isolation level that a file sets', [PASSED, PASSED]],
  [
    'own-statement-timeout',
    'the time-out that a file sets for itself ends its statements',
    [
      {
        outcome: 'failed',
        says: /guard\.sql:3:1: canceling statement due to statement timeout.*sets statement_timeout itself/,
      },
      { rows: [{ to_regclass: null }] },
    ],
  ],
  [
    'cic-own-timeout-off',
    'row 32: the time-out that a file turns off for CREATE INDEX CONCURRENTLY',
    [PASSED],
  ],
  ['select-into-union', 'SELECT INTO in a UNION', [PASSED, PASSED, { rows: [{ count: '2' }] }]],
  [
    'kind-enum-in-function',
    'row 39: an enum value as a default',
    [PASSED, { outcome: 'failed', says: /can be used only after the commit/ }],
  ],
  ['kind-refresh-concurrently', 'REFRESH MATERIALIZED VIEW CONCURRENTLY', [PASSED, PASSED]],
  ['kind-set-role-none', 'row 35: SET ROLE NONE', [PASSED, PASSED]],
  ['kind-discard-all', 'row 32: DISCARD ALL', [PASSED, PASSED]],
  ['reindex-partitioned', 'row 32: REINDEX of a partitioned table', [PASSED, PASSED]],
  [
    'dbmate-file',
    'row 155: a file of dbmate',
    [
      { outcome: 'failed', says: /rooms\.sql:4:1: "-- migrate:down" begins what dbmate.*rooms\.down\.sql/ },
      { outcome: 'failed', says: /migrate:down/ },
      { rows: [{ to_regclass: null }] },
    ],
  ],
  [
    'prisma-layout',
    'row 155: a folder per migration',
    [
      { outcome: 'failed', says: /holds its \.sql files in folders below it/ },
      { outcome: 'failed', says: /below it/ },
      { outcome: 'failed', says: /below it/ },
    ],
  ],
  [
    'golang-migrate',
    'the down file of golang-migrate is told, and not run',
    [
      { told: /rooms\.down\.sql is no down file of its \.up\.sql/ },
      PASSED,
      { rows: [{ to_regclass: 'rooms' }] },
    ],
  ],
  [
    'bom-in-the-middle',
    'a byte order mark in the middle of a file is named',
    [
      { outcome: 'failed', says: /joined\.sql:2:1: U\+FEFF/ },
      { outcome: 'failed', says: /joined\.sql:2:1: U\+FEFF/ },
    ],
  ],
  [
    'nbsp',
    'a blank of Unicode in a name is told, and applied as psql does',
    [
      { told: /nbsp\.sql:2:1: U\+00A0/ },
      PASSED,
      { rows: [{ attname: '\u00a0\u00a0id' }, { attname: 'town' }] },
    ],
  ],
  [
    'same-version-other-name',
    'row 153: one version, recorded under another name',
    [
      PASSED,
      {
        outcome: 'failed',
        says: /20260101000001_add_bookings\.sql was never run: .* recorded as 20260101000001_add_rooms/,
      },
      { outcome: 'failed', says: /was never run/ },
      { rows: [{ to_regclass: null }] },
      { outcome: 'failed', says: /was never run/ },
    ],
  ],
  [
    'squash',
    'row 22: files that were squashed into one',
    [
      PASSED,
      {
        outcome: 'failed',
        says: /no file here: 20260101000001_a -> 20260101000002_b\.sql holds the statements of 20260101000001_a: .*repair --status reverted 20260101000001\.$/m,
        never: /Do not delete the rows/,
      },
      { told: /repair --status reverted 20260101000001/ },
    ],
  ],
  [
    'notices',
    'row 163: what the server says is told',
    [
      PASSED,
      {
        told: /s\.sql:1:1: the server says: relation "a" already exists, skipping[\s\S]*s\.sql:2:1: the server says: backfilled … rows[\s\S]*look at table a/,
        never: /backfilled 7/,
      },
    ],
  ],
  [
    'depends-drop-table',
    'row 158: what depends on a table',
    [
      {
        outcome: 'failed',
        says: /t(?:able)? customers because other objects depend on it \(.*orders_customer_fkey.*customer_list.*-> Drop or change what depends on it/,
        never: /Use DROP/,
      },
    ],
  ],
  [
    'depends-drop-column',
    'row 158: what depends on a column',
    [{ outcome: 'failed', says: /customer_list.*-> Drop or change what depends on it/, never: /Use DROP/ }],
  ],
  [
    'depends-drop-function',
    'row 158: what depends on a function',
    [{ outcome: 'failed', says: /policy mine on table .*customers/, never: /Use DROP/ }],
  ],
  [
    'depends-drop-role',
    'row 158: what depends on a role',
    [{ outcome: 'failed', says: /privileges for table .*a\b.*DROP OWNED BY/, never: /Use DROP/ }],
  ],
  [
    'depends-column-type',
    'row 158: a view on a column whose type changes',
    [{ outcome: 'failed', says: /rule _RETURN on view .*customer_list/ }],
  ],
  [
    'depends-fk-types',
    'row 158: types of a foreign key that do not fit',
    [{ outcome: 'failed', says: /Key columns "customer" and "id" are of incompatible types/ }],
  ],
  [
    'depends-function-return',
    'row 158: a function with another result',
    [{ outcome: 'failed', says: /cannot change return type.*DROP FUNCTION/ }],
  ],
  [
    'exists-column',
    'row 158: a column that is there',
    [{ outcome: 'failed', says: /ADD COLUMN IF NOT EXISTS/ }],
  ],
  [
    'exists-enumvalue',
    'row 158: a value of an enum that is there',
    [{ outcome: 'failed', says: /ADD VALUE IF NOT EXISTS/ }],
  ],
  [
    'exists-function',
    'row 158: a function that is there',
    [{ outcome: 'failed', says: /CREATE OR REPLACE FUNCTION/ }],
  ],
  ['exists-index', 'row 158: an index that is there', [{ outcome: 'failed', says: /IF NOT EXISTS/ }]],
  [
    'exists-pk',
    'row 158: a primary key that is there',
    [{ outcome: 'failed', says: /DROP CONSTRAINT IF EXISTS/ }],
  ],
  [
    'exists-policy',
    'row 158: a policy that is there',
    [{ outcome: 'failed', says: /DROP POLICY IF EXISTS before it/, never: /IF NOT EXISTS/ }],
  ],
  [
    'exists-publication',
    'row 158: a member of a publication',
    [{ outcome: 'failed', says: /pg_publication_tables/, never: /IF NOT EXISTS/ }],
  ],
  [
    'exists-role',
    'row 158: a role that is there',
    [{ outcome: 'failed', says: /pg_roles/, never: /IF NOT EXISTS/ }],
  ],
  [
    'exists-schema',
    'row 158: a schema that is there',
    [{ outcome: 'failed', says: /CREATE SCHEMA IF NOT EXISTS/ }],
  ],
  [
    'unique-index-duplicates',
    'row 158: duplicate rows are not shown',
    [{ outcome: 'failed', says: /could not create unique index/, never: /x@example\.com/ }],
  ],
  [
    'now-across-files',
    'row 158: files that rely on different now()',
    [{ outcome: 'failed', says: /transaction: each/ }],
  ],
  [
    'storage-not-owner',
    'row 158: a table of the platform',
    [{ outcome: 'failed', says: /must be owner of table objects.*dashboard/ }],
  ],
  [
    'pending-trigger-events',
    'row 158: deferred checks before ALTER TABLE',
    [PASSED, { outcome: 'failed', says: /SET CONSTRAINTS ALL IMMEDIATE/ }],
  ],
  [
    'long-policy-names',
    'row 158: names that are cut to one',
    [PASSED, { outcome: 'failed', says: /63 bytes/ }],
  ],
  ['role-search-path', 'row 35: the search path of the role in every file', [PASSED]],
  [
    'not-valid-then-validate',
    'row 156: NOT VALID and VALIDATE in two files are committed apart',
    [{ batches: 2 }, PASSED],
  ],
  [
    'do-block-drop',
    'row 162: a DO block that drops a column and a table',
    [
      {
        outcome: 'failed',
        says: /drop\.sql:4:5: alter table public\.guests drop column phone: deletes data[\s\S]*drop\.sql:6:11: drop table public\.old_guests: deletes data/,
      },
      { outcome: 'failed', says: /old_guests: deletes data/ },
      { rows: [{ to_regclass: 'old_guests' }] },
    ],
  ],
  [
    'composite-drop-attribute',
    'row 40: an attribute of a composite type',
    [{ outcome: 'failed', says: /drop attribute zip: deletes data \(drop-attribute\)/ }],
  ],
  [
    'set-not-null-after-check',
    'SET NOT NULL behind a CHECK that has looked at all rows',
    [{ never: /adding-not-nullable-field/ }],
  ],
  [
    'default-auth-uid',
    'defaults that rewrite a table, and those that do not',
    [
      {
        told: /s\.sql:4:1: [\s\S]*s\.sql:5:1: [\s\S]*s\.sql:6:1: [\s\S]*s\.sql:7:1: /,
        never: /s\.sql:[123]:1: /,
      },
    ],
  ],
  [
    'partitioned-fk-advice',
    'advice for constraints that a partitioned table takes',
    [
      {
        told: /to each partition[\s\S]*ATTACH PARTITION/,
        never: /USING INDEX|VALIDATE CONSTRAINT in a later file/,
      },
    ],
  ],
  [
    'partitioned-index-advice',
    'advice for an index that a partitioned table takes',
    [
      {
        told: /ON ONLY the partitioned table.*ATTACH PARTITION/,
        never: /CONCURRENTLY in a file of its own: writes/,
      },
    ],
  ],
  [
    'partitioned-index-concurrently',
    'CREATE INDEX CONCURRENTLY on a partitioned table is refused in plan',
    [
      {
        outcome: 'failed',
        says: /idx\.sql:2:1: CREATE INDEX CONCURRENTLY is refused .*events is partitioned/,
      },
      { outcome: 'failed', says: /events is partitioned/ },
      { rows: [{ to_regclass: null }] },
    ],
  ],
  ['kind-checkpoint', 'CHECKPOINT', [PASSED, PASSED]],
  ['kind-analyze', 'ANALYZE', [PASSED, PASSED]],
  ['kind-alter-table-all-tablespace', 'ALTER TABLE ALL IN TABLESPACE', [PASSED, PASSED]],
  ['kind-alter-system', 'row 32: ALTER SYSTEM', [PASSED, PASSED]],
  [
    'drift-partitions',
    'row 160: a partition that a job makes is no drift',
    [PASSED, { rows: [] }, { never: /changed/ }, { never: /changed/ }],
  ],
  [
    'pooler-transaction',
    'row 35: what a file sets ends with it',
    [PASSED, PASSED, PASSED, { rows: [{ statement_timeout: '0' }] }],
  ],
  [
    'dump17-on-15',
    'a dump of a newer version names the line to remove',
    [
      PASSED,
      {
        outcome: 'failed',
        says: /baseline\.sql:4:1: unrecognized configuration parameter "transaction_timeout" -> .*Remove the line/,
      },
    ],
  ],
  [
    'error-inside-function',
    'the line inside a function is told',
    [
      {
        outcome: 'failed',
        says: /t\.sql:5:23: column "missing" of relation "a" does not exist \(in function (?:public\.)?backfill\(\), which line 8 calls\)/,
      },
    ],
  ],
  [
    'psql-variable',
    'a variable of psql is named',
    [
      { outcome: 'failed', says: /var\.sql:2:37: .*-> :'reporter_password' is a variable of psql/ },
      { outcome: 'failed', says: /is a variable of psql/ },
    ],
  ],
  [
    'smart-quotes',
    'a curly quote is a part of a name',
    [PASSED, { outcome: 'failed', says: /q\.sql:2:\d+: column "‘oslo’" does not exist/ }],
  ],
  [
    'extension-schema',
    'an extension in a schema that the search path lacks',
    [{ outcome: 'failed', says: /uuid_generate_v4\(\) does not exist -> / }],
  ],
  [
    'owner-to-other',
    'a table for a role that this one is no member of',
    [{ outcome: 'failed', says: /t\.sql:2:1: must be (?:member of|able to SET) role "s2_boss"/ }],
  ],
  [
    'rls-partitions',
    'a partition without row level security is named',
    [PASSED, { outcome: 'failed', says: /events_p202601/ }, { outcome: 'failed', says: /events_p202601/ }],
  ],
  [
    'redacted-secret',
    'what was taken out of an applied file is not shown',
    [PASSED, { told: /role\.sql:2:\d+: /, never: /sk-live/ }, { told: /role\.sql/, never: /sk-live/ }],
  ],
  [
    'required-function-overload',
    'row 159: functions by their arguments',
    [{ outcome: 'failed', says: /price\(text\)/ }, PASSED],
  ],
  [
    'url-options-search-path',
    'row 159: the options of a URL hold',
    [PASSED, PASSED, { rows: [{ '?column?': 'tenant_a.tenant_table' }] }],
  ],
];

interface Case {
  /** SQL of the superuser in the empty database. */
  before?: string;
  /** Who owns the database and runs the steps; the superuser where nobody is named. */
  user?: string;
  steps: {
    mode?: 'plan' | 'migrate' | 'verify';
    inputs?: Inputs;
    query?: string;
    sql?: string;
    /** A folder of the report, copied over the project. */
    overlay?: string;
    remove?: string[];
  }[];
}

const FOLDER = join(process.cwd(), '__tests__', 'database', 'reports');

let server: PostgresServer;
before(async () => {
  server = await startPostgres({ version: 15 });
});
after(() => server.stop());

for (const [folder, title, expected] of REPORTS)
  test(`${title} (${folder})`, async () => {
    const report = JSON.parse(readFileSync(join(FOLDER, folder, 'case.json'), 'utf8')) as Case;
    const project = createProject(filesOf(join(FOLDER, folder)));
    try {
      const { admin, url } = await databaseFor(report);
      for (const [index, step] of report.steps.entries()) {
        if (step.overlay !== undefined) project.write(filesOf(join(FOLDER, folder, step.overlay)));
        for (const name of step.remove ?? []) project.remove(name);
        if (step.sql === undefined && step.mode === undefined) continue;
        const wanted = expected.shift() ?? PASSED;
        if (step.sql !== undefined)
          assert.deepEqual(
            await query(admin, step.sql.replaceAll('{db}', '')),
            wanted.rows,
            `step ${index + 1}`,
          );
        if (step.mode !== undefined)
          judge(
            await run(project, `${url}${step.query ?? ''}`, step.mode, step.inputs),
            wanted,
            `step ${index + 1}`,
          );
      }
    } finally {
      project.delete();
    }
  });

/** Begins what a forgotten session has left, and does the work while it is idle in its transaction. */
async function whileForgotten(admin: string, begun: string, work: () => Promise<void>): Promise<void> {
  const forgotten = new pg.Client({ connectionString: admin, application_name: 'forgotten' });
  await forgotten.connect();
  try {
    await forgotten.query(begun);
    await work();
  } finally {
    await forgotten.end();
  }
}

/** Whose lock keeps even what is left from being dropped again. */
for (const [who, begun, stands] of [
  ['has written to the table', 'begin; update public.a set id = 2', true],
  ['has read another table', 'begin isolation level repeatable read; select * from public.other', false],
] as const)
  test(`row 49: CREATE INDEX CONCURRENTLY waits for a session that ${who} (cic-blocked-by-idle-transaction)`, async () => {
    const project = createProject(filesOf(join(FOLDER, 'cic-blocked-by-idle-transaction')));
    const { admin } = await databaseFor({
      before:
        'create table public.a (id int); insert into public.a values (1); create table public.other (id int);',
      steps: [],
    });
    try {
      await whileForgotten(admin, begun, async () => {
        const ran = await run(project, admin, 'migrate', { 'statement-timeout': '4s' });
        judge(
          ran,
          {
            outcome: 'failed',
            says: /index\.sql:1:1: .*forgotten \(pid \d+, idle in transaction for \d+ s\)/,
            never: /rolled back|raise statement-timeout/i,
          },
          'migrate',
        );
        const left = await query(admin, "select from pg_class where relname = 'a_i'");
        assert.equal(left.length, stands ? 1 : 0);
        if (stands) assert.match(ran.report.problems.map(lineOf).join('\n'), /a_i/, 'what stands is named');
      });
      judge(await run(project, admin, 'migrate'), PASSED, 'the next run, when the other session is gone');
      assert.deepEqual(
        await query(admin, "select indisvalid from pg_index where indexrelid = 'public.a_i'::regclass"),
        [{ indisvalid: true }],
      );
    } finally {
      project.delete();
    }
  });

function filesOf(folder: string): Files {
  const migrations = join(folder, 'supabase', 'migrations');
  if (!existsSync(migrations)) return {};
  const names = readdirSync(migrations, { recursive: true }).map(String);
  return Object.fromEntries(
    names.filter((name) => name.includes('.')).map((name) => [name, readFileSync(join(migrations, name))]),
  );
}

async function databaseFor({ before: setup, user }: Case): Promise<{ admin: string; url: string }> {
  const made = new URL(await server.createDatabase());
  const name = made.pathname.slice(1);
  const admin = new URL(made);
  admin.username = 'supabase_admin';
  if (user !== undefined)
    await query(
      admin.href,
      `do $$begin create role ${user} login; exception when duplicate_object then null; end$$;`,
    );
  if (setup !== undefined) await query(admin.href, setup.replaceAll('{db}', name));
  if (user === undefined) return { admin: admin.href, url: admin.href };
  const password = `'${server.password}'`;
  await query(
    admin.href,
    `alter role ${user} password ${password}; alter database ${name} owner to ${user}; alter schema public owner to ${user};`,
  );
  made.username = user;
  return { admin: admin.href, url: made.href };
}

function run(
  project: Project,
  url: string,
  mode: 'plan' | 'migrate' | 'verify',
  inputs: Inputs = {},
): Promise<Ran> {
  if (mode === 'plan') return runPlanPhase(project, url, { inputs });
  if (mode === 'migrate') return runMigrate(project, url, { inputs });
  return withTools(project, url, { inputs: { mode, ...inputs } }, async (work, log) => ({
    report: await verify(work),
    log,
  }));
}

function judge({ report, log }: Ran, wanted: Expected, step: string): void {
  const said = report.problems.map(lineOf).join('\n');
  const told = log.flatMap((entry) => ('problem' in entry ? [lineOf(entry.problem)] : [])).join('\n');
  assert.equal(report.outcome, wanted.outcome ?? 'passed', `${step}: ${said}`);
  if (wanted.says) assert.match(said, wanted.says, step);
  if (wanted.told) assert.match(told, wanted.told, step);
  if (wanted.batches !== undefined)
    assert.match(JSON.stringify(log), new RegExp(`in ${wanted.batches} batches`));
  if (wanted.never) assert.doesNotMatch(`${said}\n${told}`, wanted.never, step);
}

function lineOf({ message, at, next = '' }: Ran['report']['problems'][number]): string {
  return `${at ? `${at.file}:${at.line}:${at.column}: ` : ''}${message} -> ${next}`;
}
