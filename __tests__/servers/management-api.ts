/**
 * Supabase's Management API as far as this action uses it, over a real PostgreSQL: the query endpoint with its limits
 * and its way of telling errors, temporary logins, and the pooler's address. From the published description and from
 * the messages that users have shown.
 */
import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import pg from 'pg';
import { type PostgresServer, query } from './postgres.js';

export const PROJECT_REF = 'abcdefghijklmnopqrst';
export const ACCESS_TOKEN = 'sbp_0123456789abcdef0123456789abcdef01234567';

interface Fault {
  status: number;
  body?: string;
  contentType?: string;
  headers?: Record<string, string>;
  /** Run the query first, and lose its answer. */
  afterwards?: boolean;
  /** Only for a request whose query holds this text. */
  holding?: string;
}

export interface ManagementApi {
  readonly url: string;
  /** Paths asked for, in order. */
  readonly requests: string[];
  /** Answers the next request that fits with a fault. */
  fail(fault: Fault): void;
  stop(): Promise<void>;
}

export interface ManagementApiOptions {
  server: PostgresServer;
  /** The database behind the project, as a URL of role postgres. */
  databaseUrl: string;
  /** Where the pooler is said to listen; a closed port where it cannot be reached. */
  poolerPort: number;
  /** Milliseconds after which a query's answer is cut, while the query itself goes on; 60 s in reality. */
  queryLimit?: number;
  /** Requests per minute. */
  rateLimit?: number;
}

export async function startManagementApi(options: ManagementApiOptions): Promise<ManagementApi> {
  const requests: string[] = [];
  const faults: Fault[] = [];
  let allowed = options.rateLimit ?? 120;
  const pool = new pg.Pool({ connectionString: options.databaseUrl, max: 5 });
  pool.on('error', () => undefined);

  const answer = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const path = new URL(request.url ?? '/', 'http://localhost').pathname;
    requests.push(path);
    const body = await readBody(request);
    const send = (status: number, value: unknown, headers: Record<string, string> = {}): void => {
      response.writeHead(status, { 'content-type': 'application/json; charset=utf-8', ...headers });
      response.end(JSON.stringify(value));
    };
    if (request.headers.authorization !== `Bearer ${ACCESS_TOKEN}`)
      return send(401, { message: 'Unauthorized' });
    if (!path.startsWith(`/v1/projects/${PROJECT_REF}/`)) return send(404, { message: 'Project not found' });
    if (allowed-- <= 0) {
      allowed = options.rateLimit ?? 120;
      return send(429, { message: 'ThrottlerException: Too Many Requests' }, { 'retry-after': '1' });
    }
    const sql = path.endsWith('/database/query')
      ? String((JSON.parse(body) as { query: unknown }).query)
      : '';
    const index = faults.findIndex((each) => each.holding === undefined || sql.includes(each.holding));
    const [fault] = index === -1 ? [] : faults.splice(index, 1);
    if (fault) {
      if (fault.afterwards) await pool.query(sql).catch(() => undefined);
      response.writeHead(fault.status, {
        'content-type': fault.contentType ?? 'application/json',
        ...fault.headers,
      });
      response.end(fault.body ?? JSON.stringify({ message: 'fault' }));
      return;
    }
    if (path.endsWith('/database/query')) return runQuery(pool, sql, options.queryLimit ?? 60_000, send);
    if (path.endsWith('/cli/login-role')) return send(201, await makeLogin(options.server));
    if (path.endsWith('/config/database/pooler')) return send(200, [poolerConfig(options)]);
    send(404, { message: 'Cannot find the path' });
  };
  const listener = createServer((request, response) => {
    answer(request, response).catch(() => response.destroy());
  }).listen(0, '127.0.0.1');
  await once(listener, 'listening');
  const address = listener.address();
  if (address === null || typeof address === 'string') throw new Error('no port');
  return {
    url: `http://127.0.0.1:${address.port}`,
    requests,
    fail: (fault) => faults.push(fault),
    async stop() {
      listener.closeAllConnections();
      listener.close();
      await once(listener, 'close');
      await pool.end();
    },
  };
}

type Send = (status: number, value: unknown) => void;

async function runQuery(pool: pg.Pool, sql: string, limit: number, send: Send): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const cut = new Promise<'cut'>((resolve) => {
    timer = setTimeout(() => resolve('cut'), limit);
  });
  try {
    const result = await Promise.race([pool.query(sql) as Promise<unknown>, cut]);
    if (result === 'cut') return send(544, { message: 'Connection terminated due to connection timeout' });
    // Of several statements, the rows of the last one that gave any.
    const results = (Array.isArray(result) ? result : [result]) as pg.QueryResult[];
    send(201, results.reverse().find(({ rows }) => rows.length > 0)?.rows ?? []);
  } catch (error) {
    send(400, { message: `Failed to run sql query: ${formatError(error as pg.DatabaseError, sql)}` });
  } finally {
    clearTimeout(timer);
  }
}

function formatError(error: pg.DatabaseError, sql: string): string {
  let text = `${error.severity}:  ${error.code}: ${error.message}\n`;
  if (error.position) {
    const before = [...sql].slice(0, Number(error.position) - 1).join('');
    const number = before.split('\n').length;
    const column = [...before.slice(before.lastIndexOf('\n') + 1)].length;
    text += `LINE ${number}: ${sql.split('\n')[number - 1]}\n${' '.repeat(`LINE ${number}: `.length + column)}^\n`;
  }
  if (error.detail) text += `DETAIL:  ${error.detail}\n`;
  if (error.hint) text += `HINT:  ${error.hint}\n`;
  if (error.internalQuery) text += `QUERY:  ${error.internalQuery}\n`;
  if (error.where) text += `CONTEXT:  ${error.where}\n`;
  return text;
}

/** A login that may work as postgres; the pooler's user name carries the project, so the real role does too. */
async function makeLogin(
  server: PostgresServer,
): Promise<{ role: string; password: string; ttl_seconds: number }> {
  const role = 'cli_login_postgres';
  const password = 'temporary-password';
  await query(
    server.adminUrl,
    `do $$ begin
       if not exists (select from pg_roles where rolname = '${role}.${PROJECT_REF}') then
         create role "${role}.${PROJECT_REF}" login noinherit password '${password}' in role postgres;
       end if;
     end $$`,
  );
  return { role, password, ttl_seconds: 300 };
}

function poolerConfig({ databaseUrl, poolerPort }: ManagementApiOptions): Record<string, unknown> {
  const name = new URL(databaseUrl).pathname.slice(1);
  const text = `postgres://postgres.${PROJECT_REF}:[YOUR-PASSWORD]@127.0.0.1:${poolerPort}/${name}`;
  return {
    identifier: PROJECT_REF,
    database_type: 'PRIMARY',
    is_using_scram_auth: true,
    db_user: `postgres.${PROJECT_REF}`,
    db_host: '127.0.0.1',
    db_port: poolerPort,
    db_name: name,
    connection_string: text,
    connectionString: text,
    default_pool_size: null,
    max_client_conn: null,
    pool_mode: 'transaction',
  };
}

async function readBody(request: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks).toString('utf8');
}
