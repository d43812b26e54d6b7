import { connect as connectSocket, type Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { setImmediate as breathe } from 'node:timers/promises';
import type { NodeSSH } from 'node-ssh';
import type { AuthHandlerMiddleware, Client, ServerHostKeyAlgorithm } from 'ssh2';
import { definedOnly } from '../../lib/defined-only.js';
import { Cancelled } from '../../lib/report.js';
import { retry } from '../../lib/retry.js';
import { whenAborted } from '../../lib/when-aborted.js';
import { type ExecOptions, type ExecResult, exec } from './exec.js';
import {
  type Address,
  fingerprint,
  hostKeyProblem,
  hostKeyTries,
  judgeHostKey,
  keyType,
  type SeenKey,
  type Trust,
} from './host-key.js';
import type { PrivateKey } from './private-key.js';
import {
  classifyHandshakeError,
  classifySocketError,
  isWorthRetrying,
  type LoginAnswers,
  SshError,
  sshError,
} from './ssh-error.js';

/** One server to connect to. */
export interface SshTarget {
  /** What it is called in every message: `host 1`, `the jump host`. */
  server: string;
  address: Address;
  user: string;
  trust: Trust;
}

export interface Connection {
  /** True once the connection is gone; a new one must be made. */
  readonly lost: boolean;
  exec(command: string, options?: ExecOptions): Promise<ExecResult>;
  /** A stream to another server, as seen from this one. */
  forward(target: SshTarget): Promise<Duplex>;
  close(): void;
}

export interface ConnectOptions {
  /** Reads the key; called once for each connection, while that is being made. */
  key: () => Promise<PrivateKey>;
  signal?: AbortSignal;
  /** Milliseconds for the TCP connection, and again for the SSH handshake. Default 20 s. */
  readyTimeout?: number;
  /** Milliseconds in which lost or refused attempts are repeated. Default 30 s. */
  patience?: number;
  /** Opens the stream to the server; default a TCP connection. */
  open?: (target: SshTarget) => Promise<Duplex>;
  onRetry?: (error: SshError, waitMs: number) => void;
}

const READY_TIMEOUT = 20_000;
const PATIENCE = 30_000;
/** A dead connection is noticed after this many unanswered questions of this many milliseconds. */
const KEEPALIVE = { interval: 5_000, count: 3 };

/** Connects, authenticates and checks the host key; repeats what a new attempt can mend. Rejects with SshError. */
export async function connect(target: SshTarget, options: ConnectOptions): Promise<Connection> {
  return retry(
    {
      tries: 6,
      deadline: options.patience ?? PATIENCE,
      first: 500,
      longest: 8_000,
      ...definedOnly({ signal: options.signal }),
      worthwhile: isWorthRetrying,
      onRetry: (error, _attempt, waitMs) => {
        if (error instanceof SshError) options.onRetry?.(error, waitMs);
      },
    },
    () => connectWithAnyKeyType(target, options),
  );
}

/** One connection per kind of host key until the server shows one that is trusted. */
async function connectWithAnyKeyType(target: SshTarget, options: ConnectOptions): Promise<Connection> {
  const seen: SeenKey[] = [];
  for (const algorithms of hostKeyTries(target.trust)) {
    const before = seen.length;
    try {
      return await connectOnce(target, options, algorithms, seen);
    } catch (error) {
      const otherType =
        error instanceof SshError && error.kind === 'no-common' && /host key/.test(error.message);
      if (!otherType && seen.length === before) throw error;
      if (seen.some((key) => key.judgement === 'trusted')) throw error;
    }
  }
  throw new SshError('host-key', hostKeyProblem(target.server, target.trust, seen));
}

async function connectOnce(
  target: SshTarget,
  options: ConnectOptions,
  algorithms: string[],
  seen: SeenKey[],
): Promise<Connection> {
  if (options.signal?.aborted) throw new Cancelled();
  const timeout = options.readyTimeout ?? READY_TIMEOUT;
  const opening = (options.open ?? ((to) => openSocket(to, timeout)))(target);
  const { stream, key, ssh } = await opened(target.server, opening, options.key);
  let first = '';
  const login: LoginAnswers = {};
  const ready = ssh.connect({
    host: 'unused',
    sock: stream as Socket,
    username: target.user,
    privateKey: key.pem,
    ...definedOnly({ passphrase: key.passphrase }),
    authHandler: withKeyOnly(login),
    readyTimeout: timeout,
    keepaliveInterval: KEEPALIVE.interval,
    keepaliveCountMax: KEEPALIVE.count,
    algorithms: { serverHostKey: algorithms as ServerHostKeyAlgorithm[] },
    // Must answer at once: the client takes a promise for a yes.
    hostVerifier: (blob: Buffer) => {
      const judgement = judgeHostKey(target.trust, blob);
      seen.push({ judgement, fingerprint: fingerprint(blob), type: keyType(blob) });
      return judgement === 'trusted';
    },
  });
  // NodeSSH takes its own listener away once connected; from then on an error without ours would end the program.
  const client = ssh.connection as Client;
  client.on('error', () => {});
  stream.on('data', (chunk: Buffer) => {
    if (first.length < 256) first += chunk.subarray(0, 256).toString('latin1');
  });
  const listenNoMore = whenAborted(options.signal, () => void stream.destroy());
  try {
    await ready;
  } catch (error) {
    stream.destroy();
    if (options.signal?.aborted) throw new Cancelled();
    throw classifyHandshakeError(target.server, error, first, login);
  } finally {
    listenNoMore();
  }
  return connectionOf(client, target.server, stream);
}

/**
 * Tries the key and nothing else, and keeps what the server says to it. Clients ask with no method first, for what is offered;
 * that stands in the refusal of the key as well, and costs one turn less where the key is taken.
 */
function withKeyOnly(login: LoginAnswers): AuthHandlerMiddleware {
  let tried = false;
  return (left: readonly string[] | null, partial, next) => {
    if (tried && left !== null) {
      if (partial) login.wanted = left;
      else login.offered = left;
    }
    const method = tried ? undefined : 'publickey';
    tried = true;
    // The client takes false for the end of all methods; its types do not say so.
    next(method ?? (false as unknown as 'none'));
  };
}

/** Loads the library and reads the key while the connection is made: each takes as long as a near server's answer. */
async function opened(
  server: string,
  opening: Promise<Duplex>,
  readKey: ConnectOptions['key'],
): Promise<{ stream: Duplex; key: PrivateKey; ssh: NodeSSH }> {
  // It may fail before anybody waits for it.
  opening.catch(() => undefined);
  try {
    // Loading happens in one piece; the connection has to be on its way before that.
    await breathe();
    const [key, { NodeSSH }, stream] = await Promise.all([readKey(), import('node-ssh'), opening]);
    if (stream.destroyed) throw sshError('busy', server, 'ECONNRESET');
    return { stream, key, ssh: new NodeSSH() };
  } catch (error) {
    opening.then(
      (stream) => stream.destroy(),
      () => undefined,
    );
    throw error;
  }
}

/** A TCP connection; ssh2 itself never sets TCP_NODELAY, which costs 40 ms for every short command. */
function openSocket({ server, address }: SshTarget, timeout: number): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket = connectSocket({ host: address.host, port: address.port, noDelay: true });
    const timer = setTimeout(
      () => socket.destroy(Object.assign(new Error('late'), { code: 'ETIMEDOUT' })),
      timeout,
    );
    const onError = (error: Error): void => {
      clearTimeout(timer);
      reject(classifySocketError(server, error));
    };
    socket.once('error', onError);
    socket.once('connect', () => {
      clearTimeout(timer);
      socket.removeListener('error', onError);
      // Until the SSH client listens, an error is seen by the destroyed stream alone.
      socket.on('error', () => undefined);
      resolve(socket);
    });
  });
}

/** Why a channel is not opened, by RFC 4254: SSH_OPEN_ADMINISTRATIVELY_PROHIBITED. */
const PROHIBITED = 1;

function connectionOf(client: Client, server: string, stream: Duplex): Connection {
  let lost = false;
  client.once('close', () => {
    lost = true;
  });
  return {
    get lost() {
      return lost || stream.destroyed;
    },
    exec: (command, options) => exec(client, server, command, options),
    forward: ({ server: other, address: { host, port } }) =>
      new Promise((resolve, reject) => {
        client.forwardOut('127.0.0.1', 0, host, port, (error, channel) => {
          if (!error) return resolve(channel);
          // `reason` stands only in an answer of the jump host; without one the connection to it is gone.
          const answered = 'reason' in error && error.reason !== '';
          if (!answered) return reject(sshError('lost', server));
          const kind = error.reason === PROHIBITED ? 'no-forwarding' : 'unreachable';
          reject(sshError(kind, other, 'from the jump host'));
        });
      }),
    close() {
      client.end();
    },
  };
}
