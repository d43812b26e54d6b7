/** Folders as projects have them, with COMMITs of their own: psql and the action make the same of them. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { openDatabase } from '../../src/database/connection/open.js';
import {
  compareObjects,
  describeDifference,
  fingerprintQuery,
  readFingerprint,
  type SchemaObject,
} from '../../src/database/schema/fingerprint.js';
import { type PostgresServer, query, startPostgres } from '../servers/postgres.js';
import { createProject, type Files, runMigrate, settingsFor } from '../servers/project.js';

let server: PostgresServer;
before(async () => {
  server = await startPostgres({ version: 15 });
});
after(() => server.stop());

const VALUES = ['approved', 'rejected', 'on_hold', 'cancelled'];

const FOLDERS: [title: string, files: Files, rows: string][] = [
  [
    'a COMMIT behind each new value of an enum, which the same file uses',
    {
      '20250101000001_orders.sql': `CREATE TYPE public.order_status AS ENUM ('pending');
CREATE TABLE public.orders (id bigserial PRIMARY KEY, status public.order_status NOT NULL DEFAULT 'pending', note text);
INSERT INTO public.orders (note) VALUES ('first'), ('second');`,
      '20250101000002_status.sql': `${VALUES.map((value) => `ALTER TYPE public.order_status ADD VALUE IF NOT EXISTS '${value}';\nCOMMIT;`).join('\n')}
UPDATE public.orders SET status = 'approved' WHERE note = 'first';
ALTER TABLE public.orders ALTER COLUMN status SET DEFAULT 'on_hold';
CREATE INDEX orders_open ON public.orders (id) WHERE status IN ('pending', 'on_hold');
COMMIT;`,
      '20250101000003_view.sql': `-- after the values
CREATE VIEW public.open_orders AS SELECT id FROM public.orders WHERE status <> 'cancelled';
COMMIT;
-- nothing follows`,
    },
    'select note, status::text from public.orders order by id',
  ],
  [
    'three pairs, of which each sets its role for its transaction alone, by a function',
    {
      '20250101000001_helpers.sql': `CREATE FUNCTION public.act_as(name text) RETURNS void LANGUAGE plpgsql AS $$
BEGIN PERFORM set_config('role', name, true); PERFORM set_config('app.who', name, true); END $$;
CREATE TABLE public.rooms (id int PRIMARY KEY, owner text DEFAULT current_user);
GRANT INSERT ON public.rooms TO authenticated;
CREATE TABLE public.log (id serial, who text);`,
      '20250101000002_pairs.sql': `BEGIN;
SELECT public.act_as('authenticated');
INSERT INTO public.rooms (id) VALUES (1);
COMMIT;

BEGIN;
ALTER TABLE public.rooms ADD COLUMN floor int;
INSERT INTO public.log (who) VALUES (coalesce(nullif(current_setting('app.who', true), ''), 'nobody'));
SET LOCAL search_path = pg_catalog;
CREATE TABLE public.floors (id int);
COMMIT;

BEGIN ISOLATION LEVEL SERIALIZABLE;
CREATE TABLE doors (id int, level text DEFAULT current_setting('transaction_isolation'));
INSERT INTO doors (id) VALUES (1);
INSERT INTO public.log (who) SELECT level FROM doors;
COMMIT;`,
      '20250101000003_policies.sql': `BEGIN;
ALTER TABLE public.rooms ENABLE ROW LEVEL SECURITY;
CREATE POLICY own ON public.rooms USING (owner = current_user);
END;
START TRANSACTION;
GRANT SELECT ON public.rooms TO anon;
COMMIT WORK;`,
    },
    'select owner as a from public.rooms union all select who from public.log order by 1',
  ],
  [
    'a pair around the first third, session settings, CONCURRENTLY in between, and a COMMIT at the end',
    {
      '20250101000001_base.sql': `BEGIN;
CREATE SCHEMA app;
SET search_path = app, public;
CREATE TABLE hotels (id serial PRIMARY KEY, name text NOT NULL);
CREATE FUNCTION touch() RETURNS trigger LANGUAGE plpgsql AS $body$
BEGIN
  NEW.name := trim(NEW.name);
  RETURN NEW;
END;
$body$;
COMMIT;

CREATE TRIGGER touched BEFORE INSERT ON hotels FOR EACH ROW EXECUTE FUNCTION touch();
INSERT INTO hotels (name) VALUES (' Ritz ');
CREATE TABLE rooms (id int, hotel int REFERENCES hotels);
COMMIT;`,
      '20250101000002_index.sql': `BEGIN;
CREATE TABLE public.bookings (id int, room int);
COMMIT;
CREATE INDEX CONCURRENTLY bookings_room ON public.bookings (room);
BEGIN;
SAVEPOINT one;
CREATE TABLE public.lost (id int);
ROLLBACK TO one;
CREATE TABLE public.kept (id int);
COMMIT;
ALTER TABLE public.kept ADD COLUMN at timestamptz;`,
      '20250101000003_work.sql':
        'CREATE TABLE IF NOT EXISTS public.work (id int);\nCOMMIT;\nCREATE TABLE IF NOT EXISTS public.work (id int);',
    },
    'select name as a from app.hotels',
  ],
];

for (const [title, files, rows] of FOLDERS)
  test(`row 28: as psql applies it: ${title}`, async () => {
    const project = createProject(files);
    try {
      const [byPsql, byAction] = [await server.createDatabase(), await server.createDatabase()];
      const folder = join(project.folder, 'supabase', 'migrations');
      for (const name of readdirSync(folder).sort())
        execFileSync(
          'psql',
          ['--no-psqlrc', '--quiet', '--set=ON_ERROR_STOP=1', `--file=${join(folder, name)}`, byPsql],
          {
            stdio: ['ignore', 'ignore', 'pipe'],
          },
        );
      const { report } = await runMigrate(project, byAction, { inputs: { rls: 'off' } });
      assert.equal(report.outcome, 'passed', JSON.stringify(report.problems));
      const objects = async (url: string): Promise<SchemaObject[]> => {
        const database = openDatabase(settingsFor(project, url).database!.connection);
        try {
          return readFingerprint(await database.send(fingerprintQuery(), { deadline: 30_000 })).objects;
        } finally {
          await database.close();
        }
      };
      assert.equal(describeDifference(compareObjects(await objects(byPsql), await objects(byAction))), '');
      assert.deepEqual(await query(byAction, rows), await query(byPsql, rows));
    } finally {
      project.delete();
    }
  });
