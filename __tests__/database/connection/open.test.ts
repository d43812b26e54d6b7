import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import type { Database } from '../../../src/database/connection/connection.js';
import { openDatabase } from '../../../src/database/connection/open.js';
import { LostConnection, SqlError } from '../../../src/database/connection/sql-error.js';
import { parseDatabaseUrl } from '../../../src/inputs/checks/database-url.js';
import { Cancelled, Failure } from '../../../src/lib/report.js';
import { startFaultProxy } from '../../servers/fault-proxy.js';
import { type PostgresServer, query, startPostgres } from '../../servers/postgres.js';
import { until } from '../../servers/until.js';

let server: PostgresServer;
let database: Database;

function open(url: string, connectFor = 5_000): Database {
  const parsed = parseDatabaseUrl(url);
  assert.ok('address' in parsed);
  return openDatabase({ kind: 'url', address: parsed.address }, { connectFor, label: 'run 7 */ select' });
}

before(async () => {
  server = await startPostgres();
  database = open(server.url);
});
after(async () => {
  await database.close();
  await server.stop();
});

const deadline = 5_000;

test('a message with several statements gives the rows of each, and its notices while it runs', async () => {
  const notices: string[] = [];
  const results = await database.send(
    "select 1 as a; do $$ begin raise info 'x %', 2; end $$; select 'ü' as b",
    {
      deadline,
      onNotice: (notice) => notices.push(`${notice.severity}: ${notice.message}`),
    },
  );
  assert.deepEqual(
    results.map((result) => [result.command, result.rows]),
    [
      ['SELECT', [{ a: 1 }]],
      ['DO', []],
      ['SELECT', [{ b: 'ü' }]],
    ],
  );
  assert.deepEqual(notices, ['INFO: x 2']);
});

test('an error keeps its position in the message, and never its detail', async () => {
  await assert.rejects(database.send('select 1;\nselect nothing', { deadline }), (error) => {
    assert.ok(error instanceof SqlError);
    assert.equal(error.code, '42703');
    assert.equal(error.position, 18);
    return true;
  });
  await database.send('create temp table p(id int primary key); insert into p values (77123)', { deadline });
  await assert.rejects(database.send('insert into p values (77123)', { deadline }), (error) => {
    assert.ok(error instanceof SqlError);
    assert.doesNotMatch(JSON.stringify({ ...error, message: error.message }), /77123/);
    return true;
  });
});

test('no answer in time is an unknown outcome, and the next message has a new connection', async () => {
  await assert.rejects(database.send('select pg_sleep(3)', { deadline: 200 }), (error) => {
    assert.ok(error instanceof LostConnection);
    assert.equal(error.code, 'DEADLINE');
    return true;
  });
  const [result] = await database.send('select 2 as two', { deadline });
  assert.deepEqual(result?.rows, [{ two: 2 }]);
});

test('a cancel stops the message at the server', async () => {
  const stop = new AbortController();
  const running = database.send("do $$ begin raise info 'started'; perform pg_sleep(30); end $$", {
    deadline: 20_000,
    signal: stop.signal,
    onNotice: () => stop.abort(),
  });
  await assert.rejects(running, (error) => error instanceof SqlError && error.code === '57014');
  await assert.rejects(database.send('select 1', { deadline, signal: stop.signal }), Cancelled);
  const [row] = await query<{ count: string }>(
    server.adminUrl,
    "select count(*) from pg_stat_activity where query like '%pg_sleep(30)%' and state = 'active' and pid <> pg_backend_pid()",
  );
  assert.equal(row?.count, '0');
});

test('who runs can be seen in the activity of the server, and cannot break out of its comment', async () => {
  const [result] = await database.send('select query from pg_stat_activity where pid = pg_backend_pid()', {
    deadline,
  });
  assert.match(
    String(result?.rows[0]?.query),
    /^\/\*muva-deploy [0-9a-f]{12} run 7 \/ select\*\/ select query/,
  );
});

test('an idle connection that is terminated is replaced', async () => {
  const [first] = await database.send('select pg_backend_pid() as pid', { deadline });
  await query(server.adminUrl, `select pg_terminate_backend(${String(first?.rows[0]?.pid)}, 2000)`);
  const [second] = await database.send('select pg_backend_pid() as pid', { deadline });
  assert.notEqual(second?.rows[0]?.pid, first?.rows[0]?.pid);
});

test('row 135: after a cancel while a connection is made again, nothing is sent', async () => {
  const proxy = await startFaultProxy({ target: server.port });
  const far = open(proxy.through(server.url));
  try {
    proxy.breakAfterRequest('select 1', 'reset');
    await assert.rejects(far.send('select 1', { deadline }), LostConnection);
    // Slow enough that the login is still under way when the cancel comes.
    proxy.drip(20);
    const stop = new AbortController();
    const sending = far.send('create table sent_after_the_cancel ()', { deadline, signal: stop.signal });
    await until('a second connection', () => proxy.connections() === 2);
    stop.abort();
    const cancelled = performance.now();
    await assert.rejects(sending, Cancelled);
    assert.ok(performance.now() - cancelled < 4_000, 'the runner does not wait for a login');
    proxy.drip(0);
    const [result] = await far.send("select to_regclass('sent_after_the_cancel') as made", { deadline });
    assert.equal(result?.rows[0]?.made, null);
  } finally {
    await far.close();
    await proxy.stop();
  }
});

test('row 65: a wrong password is tried once', async () => {
  const wrong = open(server.url.replace(/:[^:@]+@/, ':wrong@'));
  const before = server.log().split('password authentication failed').length;
  await assert.rejects(wrong.send('select 1', { deadline }), (error) => {
    assert.ok(error instanceof Failure);
    assert.equal(error.problems[0]?.code, '28P01');
    assert.doesNotMatch(JSON.stringify(error.problems), /wrong/);
    return true;
  });
  assert.equal(server.log().split('password authentication failed').length - before, 1);
});

test('row 70: a server without TLS is refused off this machine', async () => {
  // 0.0.0.0 reaches this machine, but is no loopback name.
  const remote = open(server.url.replace('127.0.0.1', '0.0.0.0'));
  await assert.rejects(remote.send('select 1', { deadline }), /does not speak TLS/);
});
