import { randomBytes } from 'node:crypto';
import type { DatabaseAddress, DatabaseConnection } from '../../lib/database-address.js';
import { definedOnly } from '../../lib/defined-only.js';
import { Cancelled, errorCode, Failure, type Problem, problemsOf } from '../../lib/report.js';
import { pause } from '../../lib/retry.js';
import { Secret } from '../../lib/secret.js';
import { parseApiError } from './api-error.js';
import { CERTIFICATE_CODES } from './connect-problem.js';
import type { Database, Row, SendOptions, StatementResult } from './connection.js';
import { type ApiAnswer, exchangeHttp, NotSent } from './https-request.js';
import { type OpenOptions, openPostgres } from './postgres-connection.js';
import { LostConnection, SqlError } from './sql-error.js';

type ApiConnection = Extract<DatabaseConnection, { kind: 'management-api' }>;

/** Too many requests are answered with a wait; more than this many in a row is another fault. */
const WAITS = 5;
const LONGEST_WAIT = 120_000;
const TRIES_TO_CONNECT = 5;
/** The pooler is asked for this long before the query endpoint takes over: where its port is closed, it stays so. */
const POOLER_WITHIN = 1_500;
/** Where the pooler's address comes from, in messages. */
const POOLER = "the project's pooler settings";

/**
 * A database of which only the project's reference and an access token are known. First a temporary login and the
 * session pooler are asked for, which gives an ordinary session; where the pooler cannot be reached from here, each
 * message goes through the API's query endpoint over HTTPS: one request, one transaction, at most 60 s.
 */
export function openManagementApi(connection: ApiConnection, options: OpenOptions): Database {
  let chosen: Promise<Database> | undefined;
  let current: Database = queryEndpoint(connection, options);
  const choose = async (signal: AbortSignal | undefined): Promise<Database> => {
    const session = await sessionDatabase(connection, options, signal);
    if ('why' in session)
      options.log?.({
        kind: 'progress',
        text: `${session.why}: every message goes through the Management API`,
      });
    else current = session;
    return current;
  };
  return {
    get transport() {
      return current.transport;
    },
    get role() {
      return current.role;
    },
    confirmBackend: async (pid, signal) => current.confirmBackend?.(pid, signal),
    async send(message, sending) {
      if (sending.signal?.aborted) throw new Cancelled();
      chosen ??= choose(sending.signal);
      const database = await chosen.catch((error: unknown) => {
        chosen = undefined;
        throw error;
      });
      return database.send(message, sending);
    },
    close: () => current.close(),
  };
}

/** An ordinary session from a temporary login, or why there is none. */
async function sessionDatabase(
  connection: ApiConnection,
  options: OpenOptions,
  signal: AbortSignal | undefined,
): Promise<Database | { why: string }> {
  const login = await askJson(connection, 'POST', 'cli/login-role', { read_only: false }, signal, true);
  if (login === undefined) return { why: 'the Management API gives no temporary login' };
  const poolers = await askJson(connection, 'GET', 'config/database/pooler', undefined, signal, true);
  const address = sessionAddress(connection, login, poolers);
  if (!address) return { why: 'the Management API names no pooler' };
  const database = openPostgres(address, connection.caCertificate, {
    ...options,
    role: 'postgres',
    connectFor: POOLER_WITHIN,
    source: POOLER,
  });
  try {
    await database.send('select 1', { deadline: 15_000, ...definedOnly({ signal }) });
    return database;
  } catch (error) {
    await database.close();
    if (signal?.aborted) throw new Cancelled();
    return { why: problemsOf(error)[0]?.message ?? 'the pooler gave no session' };
  }
}

/** The primary's pooler in session mode, which Supabase serves at port 5432 of the same host. */
function sessionAddress(
  { projectRef }: Pick<ApiConnection, 'projectRef'>,
  login: unknown,
  poolers: unknown,
): DatabaseAddress | undefined {
  const { role, password } = login as { role?: unknown; password?: unknown };
  if (typeof role !== 'string' || typeof password !== 'string' || !Array.isArray(poolers)) return undefined;
  const primary = (poolers as Partial<Record<string, unknown>>[]).find(
    (each) => each.database_type === 'PRIMARY',
  );
  if (!primary || typeof primary.db_host !== 'string' || typeof primary.db_port !== 'number')
    return undefined;
  const host = primary.db_host;
  const loopback = host === '127.0.0.1' || host === 'localhost' || host === '::1';
  return {
    host,
    port: primary.db_port === 6543 ? 5432 : primary.db_port,
    // Supavisor finds the project by the user's name.
    user: `${role}.${projectRef}`,
    password: new Secret(password),
    database: typeof primary.db_name === 'string' ? primary.db_name : 'postgres',
    loopback,
    plaintext: false,
  };
}

/** The query endpoint as a database: no notices, no cancel from outside, rows of one statement only. */
function queryEndpoint(connection: ApiConnection, options: OpenOptions): Database {
  return {
    transport: 'management-api',
    async send(message, sending) {
      const nonce = randomBytes(6).toString('hex');
      const label = (options.label ?? '').replaceAll(/[^\p{L}\p{N} ._:/#@-]/gu, '');
      const query = `/*muva-deploy ${nonce} ${label}*/ ${message}`;
      const answer = await askApi(connection, 'POST', 'database/query', { query }, sending);
      return resultOf(answer, query, query.length - message.length);
    },
    close: () => Promise.resolve(),
  };
}

function resultOf(answer: ApiAnswer, query: string, shift: number): StatementResult[] {
  const body = jsonOf(answer);
  if (answer.status >= 200 && answer.status < 300) {
    if (!Array.isArray(body)) throw new Failure(notJson(answer));
    return [{ command: '', rows: body as Row[] }];
  }
  const said = (body as { message?: unknown } | undefined)?.message;
  const fields = typeof said === 'string' ? parseApiError(said, query, shift) : undefined;
  if (fields) throw new SqlError(fields);
  throw apiRefusal(answer, body);
}

/** An answer that is no result: what it means for a message that may or may not have run. */
function apiRefusal(answer: ApiAnswer, body: unknown): Error {
  const { status } = answer;
  const code = String(status);
  const next = 'https://supabase.com/dashboard/account/tokens';
  if (status === 401 || status === 403)
    return new Failure({
      message: `the Management API refused the access token (HTTP ${status})`,
      code,
      next: `Check supabase-access-token: is it valid, and may it reach this project? ${next}`,
    });
  if (status === 404)
    return new Failure({
      message: 'the Management API does not know this project',
      code,
      next: 'Check supabase-project-ref.',
    });
  if (status === 540)
    return new Failure({
      message: 'the project is paused',
      code,
      next: 'Restore it at https://supabase.com/dashboard/projects, then run again.',
    });
  // The gateway gave up, or the server broke: the message may have been run, and may still be running.
  if (status >= 500) return new LostConnection(`the Management API answered with HTTP ${status}`, code);
  if (body === undefined) return new Failure(notJson(answer));
  return new Failure({ message: `the Management API refused the request (HTTP ${status})`, code });
}

/** The body is never shown: whatever answered there, it is not what was asked. */
function notJson({ status, contentType }: ApiAnswer): Problem {
  return {
    message: `the Management API did not answer with JSON (HTTP ${status}, ${contentType.split(';')[0] || 'no content type'})`,
    code: String(status),
    next: 'Check supabase-api-url, and whether a proxy stands in between.',
  };
}

function jsonOf(answer: ApiAnswer): unknown {
  try {
    return JSON.parse(answer.body);
  } catch {
    return undefined;
  }
}

/** Asks for a JSON object; `optional`: where the API does not have it, undefined and no failure. */
export async function askJson(
  connection: ApiConnection,
  method: 'GET' | 'POST',
  path: string,
  body: unknown,
  signal: AbortSignal | undefined,
  optional: boolean,
): Promise<unknown> {
  const answer = await askApi(connection, method, path, body, {
    deadline: 30_000,
    ...definedOnly({ signal }),
  });
  if (answer.status >= 200 && answer.status < 300) return jsonOf(answer);
  // Without the right to make logins, or on a server that has no such endpoint, the query endpoint may still work.
  if (optional && answer.status !== 401 && answer.status !== 540) return undefined;
  throw apiRefusal(answer, jsonOf(answer));
}

async function askApi(
  { apiUrl, projectRef, accessToken, caCertificate }: ApiConnection,
  method: 'GET' | 'POST',
  path: string,
  body: unknown,
  sending: SendOptions,
): Promise<ApiAnswer> {
  let waits = 0;
  for (let attempt = 1; ; attempt++) {
    try {
      const answer = await exchangeHttp({
        url: `${apiUrl}/v1/projects/${projectRef}/${path}`,
        method,
        headers: {
          authorization: `Bearer ${accessToken.reveal()}`,
          accept: 'application/json',
          ...(body === undefined ? {} : { 'content-type': 'application/json' }),
        },
        ...(body === undefined ? {} : { body: JSON.stringify(body) }),
        ...definedOnly({ caCertificate }),
        deadline: sending.deadline,
        ...definedOnly({ signal: sending.signal }),
      });
      if (answer.status !== 429 || ++waits > WAITS) return answer;
      await pause(Math.min(LONGEST_WAIT, (answer.retryAfter ?? 2 ** waits) * 1000), sending.signal);
    } catch (error) {
      if (error instanceof Cancelled) throw error;
      if (!(error instanceof NotSent)) {
        if (sending.signal?.aborted) throw new LostConnection('cancelled, and no answer came', 'CANCELLED');
        const why = `the connection to the Management API was lost: ${error instanceof Error ? error.message : 'no answer'}`;
        throw new LostConnection(why, errorCode(error) ?? 'ENDED');
      }
      if (sending.signal?.aborted) throw new Cancelled();
      const passing =
        error.code === 'ECONNREFUSED' || error.code === 'EAI_AGAIN' || error.code === 'ECONNRESET';
      if (!passing || attempt === TRIES_TO_CONNECT)
        throw new Failure({
          message: `the Management API cannot be reached: ${error.code}`,
          code: error.code,
          next: CERTIFICATE_CODES.has(error.code)
            ? 'No known authority signed its certificate. Where a proxy opens TLS here, make its authority known: NODE_EXTRA_CA_CERTS (the path of a PEM file) in the env of the job.'
            : 'Check supabase-api-url and the network of this machine.',
        });
      await pause(300 * 2 ** attempt, sending.signal);
    }
  }
}
