import { randomBytes } from 'node:crypto';
import type pg from 'pg';
import type { DatabaseAddress } from '../../lib/database-address.js';
import { definedOnly } from '../../lib/defined-only.js';
import type { Log } from '../../lib/log.js';
import { Cancelled, Failure } from '../../lib/report.js';
import { retry } from '../../lib/retry.js';
import { whenAborted } from '../../lib/when-aborted.js';
import { actAs } from './acting-role.js';
import { type ConnectProblem, connectProblem } from './connect-problem.js';
import type { Database, Row, SendOptions, StatementResult, Transport } from './connection.js';
import { exchange, sqlErrorOf, streamOf } from './exchange.js';
import { keepsSessions, type Visitor } from './pooling.js';
import { lastRow } from './results.js';
import { LostConnection } from './sql-error.js';

export interface OpenOptions {
  /** Told of retries. */
  log?: Log;
  /**
   * Who we are, for others who look at the server's activity: a run id or URL. It stands in a comment at the head of
   * every message, because an application name would be a start-up parameter and poolers refuse those.
   */
  label?: string;
  /** What messages call the place where the address comes from; `database-url` by default. */
  source?: string;
  /** Milliseconds to keep trying to connect. */
  connectFor?: number;
  /** Milliseconds without a word after which the server is asked whether it still works for us. */
  silence?: number;
  /** Taken with SET ROLE after connecting, so that what is made belongs to it and not to a temporary login. */
  role?: string;
}

/** One attempt to connect; a far database on a loaded network needs a few seconds. */
const CONNECT_TIMEOUT = 15_000;
const CONNECT_FOR = 60_000;
/** After this much silence the server is asked, over a second connection, whether it still works for us. */
const SILENCE = 15_000;
/** Each question of the look at a pooler; where it has no second connection to give, its answer does not come. */
const LOOK_DEADLINE = 5_000;

/** A database over the Postgres protocol: direct, or through a pooler. */
export function openPostgres(
  address: DatabaseAddress,
  caCertificate: string | undefined,
  options: OpenOptions = {},
): Database {
  let transport = transportOf(address);
  let client: pg.Client | undefined;
  /** The process id that the newest connection was told at its start. */
  let announced: number | undefined;
  let turn: Promise<unknown> = Promise.resolve();

  const connected = async (signal: AbortSignal | undefined): Promise<pg.Client> => {
    if (client) return client;
    const opened = await connectPatiently(address, caCertificate, options, signal);
    const forget = (): void => {
      if (client === opened) client = undefined;
    };
    // Without a listener an idle disconnect would end the whole process.
    opened.on('error', forget);
    opened.on('end', forget);
    if (options.role !== undefined) await opened.query(actAs(options.role));
    client = opened;
    announced = (opened as { processID?: number }).processID;
    return opened;
  };
  const send = async (message: string, sending: SendOptions): Promise<StatementResult[]> => {
    if (sending.signal?.aborted) throw new Cancelled();
    const nonce = randomBytes(6).toString('hex');
    const prefix = `/*muva-deploy ${nonce} ${printable(options.label ?? '')}*/ `;
    const current = await connected(sending.signal);
    const aside = {
      cancel: () => cancelMessage(address, caCertificate, nonce),
      isAtWork: () => isAtWork(address, caCertificate, nonce),
      silence: options.silence ?? SILENCE,
    };
    try {
      return await exchange(current, prefix + message, prefix.length, sending, aside);
    } catch (error) {
      if (error instanceof LostConnection && client === current) client = undefined;
      throw error;
    }
  };
  const inTurn: Database['send'] = (message, sending) => {
    const result = turn.then(() => send(message, sending));
    turn = result.catch(() => undefined);
    return result;
  };
  return {
    get transport() {
      return transport;
    },
    role: options.role,
    async confirmBackend(pid, signal) {
      // A pooler announces a process id of its own: what looked like a direct connection goes through one.
      if (transport !== 'direct' || announced === undefined || announced === pid) return;
      const sending = { deadline: LOOK_DEADLINE, ...definedOnly({ signal }) };
      const kept = await keepsSessions({
        ask: async (message) => lastRow(await inTurn(message, sending)),
        visit: () => visit(address, caCertificate, signal),
        nonce: randomBytes(6).toString('hex'),
        signal,
      }).catch((error: unknown) => {
        if (signal?.aborted) throw new Cancelled();
        const { message } = connectProblem(error, options.source);
        const text = `no second connection through the pooler (${message}): it is taken for a transaction pooler`;
        options.log?.({ kind: 'progress', text });
        return false;
      });
      transport = kept ? 'session-pooler' : 'transaction-pooler';
    },
    send: inTurn,
    async close() {
      const open = client;
      client = undefined;
      if (open) await closeClient(open);
    },
  };
}

/** What the address alone tells; Supabase's poolers are known by port and name. */
export function transportOf(address: Pick<DatabaseAddress, 'host' | 'port'>): Transport {
  if (address.port === 6543) return 'transaction-pooler';
  return address.host.endsWith('.pooler.supabase.com') ? 'session-pooler' : 'direct';
}

/** The label is shown to other users of the server inside a comment: it must not be able to end it. */
function printable(label: string): string {
  return label
    .replaceAll(/[^\p{L}\p{N} ._:/#@-]/gu, '')
    .slice(0, 200)
    .replaceAll('*/', '');
}

async function connectPatiently(
  address: DatabaseAddress,
  caCertificate: string | undefined,
  options: OpenOptions,
  signal: AbortSignal | undefined,
): Promise<pg.Client> {
  const problemOf = (error: unknown): ConnectProblem => connectProblem(error, options.source);
  try {
    return await retry(
      {
        tries: 20,
        deadline: options.connectFor ?? CONNECT_FOR,
        first: 250,
        longest: 5_000,
        ...definedOnly({ signal }),
        worthwhile: (error) => problemOf(error).retry,
        onRetry: (error, attempt) => {
          if (attempt === 1)
            options.log?.({ kind: 'progress', text: `${problemOf(error).message}; trying again` });
        },
      },
      () => connectOnce(address, caCertificate, signal),
    );
  } catch (error) {
    if (error instanceof Failure) throw error;
    const { retry: _, ...problem } = problemOf(error);
    throw new Failure(problem);
  }
}

/**
 * While it is loaded, the driver looks whether it runs at Cloudflare. Where Node has no navigator yet (before 21), that
 * look loads all of fetch, which takes 10 ms.
 */
async function loadDriver(): Promise<typeof pg> {
  const known = 'navigator' in globalThis;
  const navigator = { userAgent: 'Node.js' };
  if (!known) Object.defineProperty(globalThis, 'navigator', { value: navigator, configurable: true });
  try {
    return (await import('pg')).default;
  } finally {
    if (!known) Reflect.deleteProperty(globalThis, 'navigator');
  }
}

/** @throws Cancelled as soon as the signal fires, wherever the connection stands then. */
async function connectOnce(
  address: DatabaseAddress,
  caCertificate: string | undefined,
  signal?: AbortSignal,
): Promise<pg.Client> {
  const [driver, { tlsOptions }, net] = await Promise.all([
    loadDriver(),
    import('./tls.js'),
    import('node:net'),
  ]);
  // Node gives each address of a dual-stack host 250 ms, which a far database does not answer in.
  net.setDefaultAutoSelectFamilyAttemptTimeout(3_000);
  const tls = tlsOptions(address, caCertificate);
  // The parts, never the URL: an sslmode in a URL overrides the ssl object. No time-outs here: they would be
  // start-up parameters, and poolers refuse them, as they may refuse the options of a URL.
  const client = new driver.Client({
    host: address.host,
    port: address.port,
    user: address.user,
    password: address.password.reveal(),
    database: address.database,
    ssl: tls ?? false,
    connectionTimeoutMillis: address.connectTimeout ?? CONNECT_TIMEOUT,
    ...definedOnly({ options: address.options, application_name: address.applicationName }),
    keepAlive: true,
  });
  client.on('error', () => undefined);
  const connecting = client.connect();
  const listenNoMore = whenAborted(signal, () => void streamOf(client).destroy());
  try {
    await connecting;
    return client;
  } catch (error) {
    streamOf(client).destroy();
    if (signal?.aborted) throw new Cancelled();
    throw sqlErrorOf(error, 0) ?? error;
  } finally {
    listenNoMore();
  }
}

async function isAtWork(
  address: DatabaseAddress,
  caCertificate: string | undefined,
  nonce: string,
): Promise<boolean> {
  const client = await connectOnce(address, caCertificate);
  try {
    const { rows } = await client.query<{ active: boolean }>(
      `select exists (select from pg_catalog.pg_stat_activity where pid <> pg_catalog.pg_backend_pid()
         and state <> 'idle' and query like '/*muva-deploy ${nonce} %') as active`,
    );
    return rows[0]?.active === true;
  } finally {
    await closeClient(client);
  }
}

async function visit(
  address: DatabaseAddress,
  caCertificate: string | undefined,
  signal: AbortSignal | undefined,
): Promise<Visitor> {
  const client = await connectOnce(address, caCertificate, signal);
  const listenNoMore = whenAborted(signal, () => void streamOf(client).destroy());
  return {
    async ask(message) {
      // The driver's types do not know the time-out of a single query.
      const asked = { text: message, query_timeout: LOOK_DEADLINE };
      const { rows } = await client.query<Row>(asked);
      return rows[0] ?? {};
    },
    async leave() {
      listenNoMore();
      await closeClient(client);
    },
  };
}

/** The message runs in some backend, behind a pooler not always the announced one: it is found by its comment. */
async function cancelMessage(
  address: DatabaseAddress,
  caCertificate: string | undefined,
  nonce: string,
): Promise<void> {
  const client = await connectOnce(address, caCertificate);
  try {
    await client.query(
      `select pg_catalog.pg_cancel_backend(pid) from pg_catalog.pg_stat_activity
       where pid <> pg_catalog.pg_backend_pid() and query like '/*muva-deploy ${nonce} %'`,
    );
  } finally {
    await closeClient(client);
  }
}

/** Says goodbye, but does not wait long for a peer that is gone. */
async function closeClient(client: pg.Client): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const patience = new Promise<void>((resolve) => {
    timer = setTimeout(resolve, 1_000);
  });
  await Promise.race([client.end().catch(() => undefined), patience]);
  clearTimeout(timer);
  streamOf(client).destroy();
}
