/**
 * Migrations side by side with what users would take instead: whole processes, over a connection without and with
 * 50 ms of round trip, waiting turns counted by a proxy. `node build/bench/migrate.js [rounds] [part of a title]`.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type FaultProxy, startFaultProxy } from '../__tests__/servers/fault-proxy.js';
import { type PostgresServer, query, startPostgres } from '../__tests__/servers/postgres.js';
import { interleaved, median, spread, table, timed, writeSection } from './measure.js';
import { allPeers, oneTableFiles, type Peer } from './peers.js';
import { BEFORE_REALISTIC, realisticFiles } from './realistic.js';

const rounds = Number(process.argv[2] ?? 3);
const wanted = process.argv[3] ?? '';

interface Scenario {
  title: string;
  pending: number;
  applied: number;
  /** Milliseconds of one turn. */
  turn: 0 | 50;
  /** Where only the tools are compared whose history can be filled without running them. */
  seeded?: boolean;
  /** Minutes for each round: half as many rounds. */
  slow?: boolean;
  /** Functions, policies, grants and dumps, and not one table in each file. */
  realistic?: boolean;
}

const SCENARIOS: Scenario[] = [
  { title: 'Nothing pending, 500 applied, loopback', pending: 0, applied: 500, turn: 0 },
  { title: 'Nothing pending, 500 applied, 50 ms', pending: 0, applied: 500, turn: 50 },
  { title: 'Nothing pending, 10,000 applied, 50 ms', pending: 0, applied: 10_000, turn: 50, seeded: true },
  { title: '1 pending, 50 ms', pending: 1, applied: 0, turn: 50 },
  { title: '100 pending, loopback', pending: 100, applied: 0, turn: 0 },
  { title: '100 pending, 50 ms', pending: 100, applied: 0, turn: 50, slow: true },
  { title: '1,000 pending, loopback', pending: 1_000, applied: 0, turn: 0, slow: true },
  { title: '300 realistic files pending, loopback', pending: 300, applied: 0, turn: 0, realistic: true },
  { title: '1,200 realistic files pending, loopback', pending: 1_200, applied: 0, turn: 0, realistic: true },
];

interface Measured {
  time: number;
  turns: number;
}

const folders: string[] = [];
function laid(peer: Peer, texts: readonly string[]): string {
  const folder = mkdtempSync(join(tmpdir(), 'muva-bench-'));
  folders.push(folder);
  peer.lay(folder, texts);
  return folder;
}

async function measure(peer: Peer, folder: string, url: string, proxy: FaultProxy): Promise<Measured> {
  const before = proxy.flights();
  const time = await timed(peer.command(folder, proxy.through(url)));
  return { time, turns: proxy.flights() - before };
}

async function assertTables(peer: Peer, url: string, count: number): Promise<void> {
  const [found] = await query<{ tables: number }>(
    url,
    "select count(*)::int as tables from pg_class where relkind = 'r' and relnamespace = 'public'::regnamespace and relname ~ '^t[0-9]+$'",
  );
  if (found?.tables !== count) throw new Error(`${peer.name} made ${found?.tables} of ${count} tables`);
}

async function assertFunctions(peer: Peer, url: string, count: number): Promise<void> {
  const wanted = realisticFiles(count).filter((text) => text.startsWith('create or replace function')).length;
  const [found] = await query<{ made: number }>(
    url,
    "select count(*)::int as made from pg_proc where pronamespace = 'public'::regnamespace and proname like 'settle%'",
  );
  if (found?.made !== wanted) throw new Error(`${peer.name} made ${found?.made} of ${wanted} functions`);
}

/** A run with files pending: each on a database of its own. */
async function pendingRun(
  server: PostgresServer,
  peer: Peer,
  folder: string,
  proxy: FaultProxy,
  { pending, realistic }: Scenario,
) {
  const url = await server.createDatabase();
  if (realistic) await query(url, BEFORE_REALISTIC);
  const measured = await measure(peer, folder, url, proxy);
  if (realistic) await assertFunctions(peer, url, pending);
  else await assertTables(peer, url, pending);
  await query(server.adminUrl, `drop database ${new URL(url).pathname.slice(1)} with (force)`);
  return measured;
}

const ready = new Map<string, Promise<{ folder: string; url: string }>>();

/** A project and a database where all of it is applied already; made once for each tool. */
function upToDate(
  server: PostgresServer,
  peer: Peer,
  scenario: Scenario,
): Promise<{ folder: string; url: string }> {
  const key = `${peer.name} ${scenario.applied}`;
  const made = ready.get(key) ?? makeUpToDate(server, peer, scenario);
  ready.set(key, made);
  return made;
}

async function makeUpToDate(server: PostgresServer, peer: Peer, { applied: count, seeded: fill }: Scenario) {
  const folder = laid(peer, oneTableFiles(peer.history === 'floor' ? 0 : count));
  return { folder, url: await (fill ? seeded(server, count) : applied(server, peer, folder, count)) };
}

/** A database where `count` files are applied, by the tool itself. */
async function applied(server: PostgresServer, peer: Peer, folder: string, count: number): Promise<string> {
  const url = await server.createDatabase();
  await timed(peer.command(folder, url));
  await assertTables(peer, url, peer.history === 'floor' ? 0 : count);
  return url;
}

/** The history alone, as Supabase's tools write it. */
async function seeded(server: PostgresServer, count: number): Promise<string> {
  const url = await server.createDatabase();
  await query(
    url,
    `create schema supabase_migrations;
     create table supabase_migrations.schema_migrations (version text primary key, statements text[], name text);
     insert into supabase_migrations.schema_migrations
     select (10000 + n)::text, array['create table public.t' || n || ' (id int)'], 't' from generate_series(0, ${count - 1}) n`,
  );
  return url;
}

async function subjectsOf(scenario: Scenario, peers: Peer[], server: PostgresServer, proxy: FaultProxy) {
  const subjects: { name: string; run: () => Promise<Measured> }[] = [];
  for (const peer of peers) {
    if (scenario.pending > 0) {
      // Those that run all files in one transaction cannot use a value of an enum that is added there, and none of these does.
      const { pending, realistic } = scenario;
      const folder = laid(peer, realistic ? realisticFiles(pending) : oneTableFiles(pending));
      subjects.push({
        name: peer.name,
        run: () => pendingRun(server, peer, folder, proxy, scenario),
      });
    } else if (peer.history !== 'none' && !(scenario.seeded && peer.history === 'own')) {
      const { folder, url } = await upToDate(server, peer, scenario);
      subjects.push({ name: peer.name, run: () => measure(peer, folder, url, proxy) });
    }
  }
  return subjects;
}

function tableOf(results: Map<string, Measured[]>): string {
  const base = median([...results.values()][0]!.map(({ time }) => time));
  const rows = [...results].map(([name, runs]) => {
    const times = runs.map(({ time }) => time);
    return [
      name,
      String(median(runs.map(({ turns }) => turns))),
      spread(times),
      `${(median(times) / base).toFixed(2)} x`,
    ];
  });
  return table(['', 'turns', 'time', 'to the first row'], rows);
}

const count = (number: number, what: string): string => `${number} ${what}${number === 1 ? '' : 's'}`;
const ABOUT = `Whole processes, from start to exit, through a proxy that counts turns: how often the client had to wait for the
server (logging in takes three). Each migration creates one table, but for realistic files: a third of these are functions with
bodies of 30 lines, a third policies and grants, the rest tables, alters, enum values and dumps of 400 kB. Every run is checked to
have made all of it.`;

const server = await startPostgres();
const proxies = {
  0: await startFaultProxy({ target: server.port }),
  50: await startFaultProxy({ target: server.port, latency: 25 }),
};
try {
  const peers = await allPeers();
  for (const scenario of SCENARIOS.filter(({ title }) => title.includes(wanted))) {
    console.log(`${scenario.title} ...`);
    const subjects = await subjectsOf(scenario, peers, server, proxies[scenario.turn]);
    const repeats = scenario.slow ? Math.ceil(rounds / 2) : rounds;
    const results = await interleaved(repeats, subjects);
    const text = tableOf(results);
    console.log(text);
    // Written at once: the whole takes a while, and what was measured stands.
    const name = `migrate ${rounds} '${scenario.title}'`;
    writeSection(name, `Migrations: ${scenario.title}`, `${ABOUT} ${count(repeats, 'round')}.\n\n${text}`);
  }
} finally {
  for (const proxy of Object.values(proxies)) await proxy.stop();
  await server.stop();
  for (const folder of folders) rmSync(folder, { recursive: true, force: true });
}
