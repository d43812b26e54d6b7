import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { type PostgresServer, startPostgres } from '../servers/postgres.js';
import { createProject, runMigrate } from '../servers/project.js';

let server: PostgresServer;
let url: string;
before(async () => {
  server = await startPostgres();
  url = await server.createDatabase();
});
after(() => server.stop());

/** Statements that fail, with the line and column (in the statement) where the fault stands. */
const FAULTS: [name: string, sql: string, at: [line: number, column: number]][] = [
  ['a statement', 'create table public.t (\n  a int,\n  b nope);', [3, 5]],
  ['a statement of a DO block', 'do $$\nbegin\n  -- é\n  insert into nope values (1);\nend $$;', [4, 15]],
  [
    'SQL that a DO block executes',
    "do $x$\nbegin\n  execute 'insert into nope values (1)';\nend $x$;",
    [3, 24],
  ],
  ['RAISE in a DO block', "do $$\nbegin\n  perform 1;\n  raise exception 'bad';\nend $$;", [4, 3]],
  ['an expression of a DO block', 'do $$\ndeclare x int;\nbegin\n  x := 1/0;\nend $$;', [4, 3]],
  ['the text of a DO block', 'do $$\nbegin\n  if true thn null; end if;\nend $$;', [3, 19]],
  [
    'the body of a PL/pgSQL function',
    'create function public.f() returns int language plpgsql as $$\nbegin\n  retrn 1;\nend $$;',
    [3, 3],
  ],
  [
    'a body in plain quotes',
    "create function public.f() returns text language plpgsql as '\nbegin\n  retrn ''x'';\nend ';",
    [3, 3],
  ],
  [
    'a declaration',
    'create function public.f() returns int language plpgsql as $$\ndeclare x nope;\nbegin\n  return 1;\nend $$;',
    [2, 11],
  ],
  [
    'the body of an SQL function',
    'create function public.f() returns int language sql as $$\n  select 1;\n  select nope from nope;\n$$;',
    [3, 20],
  ],
  ['a call, where the fault is in what it calls', 'select\n  pg_temp_nope();', [2, 3]],
];

const HEADS: [mode: string, head: string][] = [
  ['one transaction', 'select 1;'],
  ['an explicit transaction', 'savepoint s;'],
  ['parts', 'vacuum;'],
];

for (const [mode, head] of HEADS)
  for (const [name, sql, [line, column]] of FAULTS)
    test(`the place of an error in ${mode}: ${name}`, async () => {
      const project = createProject({ '1_a.sql': `${head}\n${sql}` });
      const { report } = await runMigrate(project, url, { inputs: { drift: 'off' } });
      project.delete();
      const [problem] = report.problems;
      assert.deepEqual([problem?.at?.line, problem?.at?.column], [line + 1, column], problem?.message);
    });
