/** What users would take instead of this action for their migrations: how each wants its files, and how it is run. */
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { npmTool } from '../__tests__/servers/npm-tool.js';
import { installSupabaseCli, SUPABASE_CLI } from '../__tests__/servers/supabase-cli.js';
import type { Command } from './measure.js';

export interface Peer {
  name: string;
  /** Writes migrations into an empty folder, by their texts in their order. */
  lay(folder: string, texts: readonly string[]): void;
  command(folder: string, url: string): Command;
  /**
   * Where it remembers what is applied: in Supabase's table, or in one of its own. The floor remembers nothing and
   * has nothing to remember; psql remembers nothing, so that with nothing pending there is nothing to run.
   */
  history: 'supabase' | 'own' | 'floor' | 'none';
}

export const tableSql = (index: number): string => `create table public.t${index} (id int);\n`;

/** Files of which each creates one table. */
export const oneTableFiles = (count: number): string[] =>
  Array.from({ length: count }, (_, index) => tableSql(index));

function write(folder: string, below: string, files: readonly [name: string, text: string][]): void {
  mkdirSync(join(folder, below), { recursive: true });
  for (const [name, text] of files) writeFileSync(join(folder, below, name), text);
}

function laySupabase(folder: string, texts: readonly string[]): void {
  write(
    folder,
    'supabase/migrations',
    texts.map((text, index) => [`${10_000 + index}_t.sql`, text]),
  );
  writeFileSync(join(folder, 'supabase', 'config.toml'), 'project_id = "x"\n');
}

function ours(transaction: 'all' | 'each'): Peer {
  const entry = resolve(process.env.DIST ?? 'dist', 'cli.js');
  return {
    name: `this action, \`transaction: ${transaction}\``,
    history: 'supabase',
    lay: laySupabase,
    command: (folder, url) => ({
      program: process.execPath,
      args: [entry, 'migrate', '--transaction', transaction],
      cwd: folder,
      env: { DATABASE_URL: url },
    }),
  };
}

/** The least that a Node program can do: connect, send one message, leave. */
function floor(): Peer {
  const pg = resolve('node_modules/pg');
  const program = `const { Client } = require(${JSON.stringify(pg)});
    const client = new Client({ connectionString: process.env.DATABASE_URL });
    client.connect().then(() => client.query(require('fs').readFileSync('all.sql', 'utf8'))).then(() => client.end());`;
  return {
    name: 'floor: Node and one message, no history',
    history: 'floor',
    lay: (folder, texts) => writeFileSync(join(folder, 'all.sql'), texts.join('') || 'select 1'),
    command: (folder, url) => ({
      program: process.execPath,
      args: ['-e', program],
      cwd: folder,
      env: { DATABASE_URL: url },
    }),
  };
}

async function supabase(): Promise<Peer> {
  const { program } = await installSupabaseCli();
  return {
    name: SUPABASE_CLI,
    history: 'supabase',
    lay: laySupabase,
    command: (folder, url) => ({
      program,
      args: ['db', 'push', '--yes', '--agent', 'no', `--remote=${url}?sslmode=disable`],
      cwd: folder,
      env: { DO_NOT_TRACK: '1' },
    }),
  };
}

const NPM = [
  'dbmate@2.36.0',
  'node-pg-migrate@9.0.0',
  'postgres-migrations@5.3.0',
  'graphile-migrate@1.4.1',
  'pg@8.23.1',
];

function dbmate(modules: string): Peer {
  return {
    name: 'dbmate@2.36.0',
    history: 'own',
    lay: (folder, texts) =>
      write(
        folder,
        'db/migrations',
        texts.map((text, index) => [`${10_000 + index}_t.sql`, `-- migrate:up\n${text}\n-- migrate:down\n`]),
      ),
    command: (folder, url) => ({
      program: join(modules, '@dbmate', `${process.platform}-${process.arch}`, 'bin', 'dbmate'),
      args: ['--no-dump-schema', 'migrate'],
      cwd: folder,
      env: { DATABASE_URL: `${url}?sslmode=disable` },
    }),
  };
}

function nodePgMigrate(modules: string): Peer {
  return {
    name: 'node-pg-migrate@9.0.0',
    history: 'own',
    lay: (folder, texts) =>
      write(
        folder,
        'migrations',
        texts.map((text, index) => [
          `${1_700_000_000_000 + index}_t.sql`,
          `-- Up Migration\n${text}-- Down Migration\n`,
        ]),
      ),
    command: (folder, url) => ({
      program: process.execPath,
      args: [join(modules, 'node-pg-migrate', 'bin', 'node-pg-migrate.js'), 'up'],
      cwd: folder,
      env: { DATABASE_URL: url },
    }),
  };
}

function postgresMigrations(modules: string): Peer {
  const program = `const { Client } = require(${JSON.stringify(join(modules, 'pg'))});
    const { migrate } = require(${JSON.stringify(join(modules, 'postgres-migrations'))});
    const client = new Client({ connectionString: process.env.DATABASE_URL });
    client.connect().then(() => migrate({ client }, 'migrations')).then(() => client.end());`;
  return {
    name: 'postgres-migrations@5.3.0',
    history: 'own',
    lay: (folder, texts) =>
      write(
        folder,
        'migrations',
        texts.map((text, index) => [`${index + 1}_t${index}.sql`, text]),
      ),
    command: (folder, url) => ({
      program: process.execPath,
      args: ['-e', program],
      cwd: folder,
      env: { DATABASE_URL: url },
    }),
  };
}

function graphileMigrate(modules: string): Peer {
  return {
    name: 'graphile-migrate@1.4.1',
    history: 'own',
    lay(folder, texts) {
      let previous: string | undefined;
      const files = texts.map((each, index): [string, string] => {
        const text = each.trim();
        const hash = `sha1:${createHash('sha1')
          .update(`${`${previous ?? ''}\n${text}`.trim()}\n`)
          .digest('hex')}`;
        const file = `--! Previous: ${previous ?? '-'}\n--! Hash: ${hash}\n\n${text}\n`;
        previous = hash;
        return [`${String(index + 1).padStart(6, '0')}.sql`, file];
      });
      write(folder, 'migrations/committed', files);
      writeFileSync(join(folder, '.gmrc'), '{}\n');
    },
    command: (folder, url) => ({
      program: process.execPath,
      args: [join(modules, 'graphile-migrate', 'dist', 'cli.js'), 'migrate'],
      cwd: folder,
      env: { DATABASE_URL: url, SHADOW_DATABASE_URL: `${url}_shadow`, ROOT_DATABASE_URL: `${url}_root` },
    }),
  };
}

/** psql, where the machine has it, as shell scripts call it: a process for each file, or one for all of them. */
function psql(): Peer[] {
  const found = spawnSync('psql', ['--version'], { encoding: 'utf8' });
  if (found.status !== 0) return [];
  const version = found.stdout.trim().split(' ').slice(0, 3).join(' ');
  const call = 'psql -X -q -v ON_ERROR_STOP=1 -1';
  const scripts = {
    'for each file': `for f in migrations/*.sql; do ${call} -f "$f" "$URL"; done`,
    'for all files': `for f in migrations/*.sql; do set -- "$@" -f "$f"; done; ${call} "$@" "$URL"`,
  };
  return Object.entries(scripts).map(([words, script]) => ({
    name: `one ${version} ${words}, no history`,
    lay: (folder, texts) =>
      write(
        folder,
        'migrations',
        texts.map((text, index) => [`${10_000 + index}_t.sql`, text]),
      ),
    command: (folder, url) => ({
      program: '/bin/sh',
      args: ['-ec', script],
      cwd: folder,
      env: { URL: `${url}?sslmode=disable` },
    }),
    history: 'none',
  }));
}

/** All that are compared; those from the npm registry are installed on the first run, and kept for the next. */
export async function allPeers(): Promise<Peer[]> {
  const modules = join(await npmTool(...NPM), 'node_modules');
  return [
    ours('all'),
    ours('each'),
    floor(),
    await supabase(),
    dbmate(modules),
    nodePgMigrate(modules),
    postgresMigrations(modules),
    graphileMigrate(modules),
    ...psql(),
  ];
}
