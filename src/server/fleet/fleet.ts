import { setMaxListeners } from 'node:events';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { SshSettings, VpsSettings } from '../../inputs/settings.js';
import { definedOnly } from '../../lib/defined-only.js';
import type { Log } from '../../lib/log.js';
import { Cancelled } from '../../lib/report.js';
import { retry } from '../../lib/retry.js';
import { whenAborted } from '../../lib/when-aborted.js';
import { type Connection, connect, type SshTarget } from '../ssh/connection.js';
import type { ExecOptions, ExecResult } from '../ssh/exec.js';
import { trustFor } from '../ssh/host-key.js';
import { type PrivateKey, readPrivateKey } from '../ssh/private-key.js';
import { SshError } from '../ssh/ssh-error.js';

/** One server of `ssh-host`. */
export interface Host {
  /** From 1; what a host is called in logs and outputs, because its name is often a secret. */
  readonly position: number;
  /** `host 2`, or `the server` where there is only one. */
  readonly name: string;
  /** `host 2: `, or nothing where there is only one: stands in front of what happened there. */
  readonly prefix: string;
  /**
   * Runs a command line; connects first where there is no connection. Rejects with SshError where there is none to
   * be had, or it broke (the command may have run then, and is never repeated here), and with Cancelled.
   */
  exec(command: string, options?: ExecOptions): Promise<ExecResult>;
}

/** All servers of a run: connected on first use, one SSH connection each, reconnected when it is lost. */
export interface Fleet {
  readonly hosts: readonly Host[];
  /** Begins to connect, while something else is loaded or read. What goes wrong is told to the first command. */
  connect(): void;
  /** The bundle that runs on the servers. */
  worker(): Promise<string>;
  /** Milliseconds for which a lost server is looked for before the outcome of its run is given up as unknown. */
  readonly reconnectFor: number;
  /** Milliseconds for which a server waits that does not hear of the action: longer than it is looked for. */
  readonly goLease: number;
  close(): Promise<void>;
}

export interface FleetOptions {
  /** The folder with worker.js. */
  dist: string;
  log: Log;
  /** Milliseconds for each TCP connection and each handshake. Default 20 s. */
  readyTimeout?: number;
  /** Milliseconds in which refused or lost connection attempts are repeated. Default 30 s. */
  patience?: number;
  /** Milliseconds. Default 3 min. */
  reconnectFor?: number;
  /** Milliseconds. Default a minute more than `reconnectFor`. */
  goLease?: number;
}

const RECONNECT_FOR = 180_000;
/** Milliseconds by which a waiting host is more patient than the action that looks for it. */
const LONGER_THAN_THE_ACTION = 60_000;

export function openFleet({ ssh }: Pick<VpsSettings, 'ssh'>, options: FleetOptions): Fleet {
  const closing = new AbortController();
  manyMayListen(closing.signal);
  let key: Promise<PrivateKey> | undefined;
  let worker: Promise<string> | undefined;
  const readKey = (): Promise<PrivateKey> => {
    key ??= readPrivateKey(ssh.privateKey.reveal(), ssh.passphrase?.reveal());
    return key;
  };
  const open: Open = (target, via) => openConnection(target, via, readKey, options, closing.signal);
  const targets = targetsOf(ssh);
  const { reconnectFor = RECONNECT_FOR } = options;
  const jump = targets.jump && line(targets.jump, undefined, open);
  const lines = targets.hosts.map((target) => line(target, jump, open));
  return {
    hosts: lines.map((own, index) => hostOf(own, index + 1, lines.length > 1)),
    connect() {
      for (const own of lines) own.connection().catch(() => {});
    },
    worker: () => {
      worker ??= readFile(join(options.dist, 'worker.js'), 'utf8');
      return worker;
    },
    reconnectFor,
    goLease: options.goLease ?? reconnectFor + LONGER_THAN_THE_ACTION,
    async close() {
      closing.abort();
      for (const own of [...lines, ...(jump ? [jump] : [])]) own.close();
    },
  };
}

/** What to connect to, with what each server is trusted by. */
function targetsOf(ssh: SshSettings): { hosts: SshTarget[]; jump?: SshTarget } {
  const several = ssh.hosts.length > 1;
  const only = !several && ssh.jump === undefined;
  const target = (server: string, { host, port, user }: SshSettings['hosts'][number]): SshTarget => ({
    server,
    address: { host, port },
    user,
    trust: trustFor({ host, port }, ssh, only),
  });
  return {
    hosts: ssh.hosts.map((host, index) => target(several ? `host ${index + 1}` : 'the server', host)),
    ...(ssh.jump ? { jump: target('the jump host', ssh.jump) } : {}),
  };
}

type Open = (target: SshTarget, via: Line | undefined) => Promise<Connection>;

/** One server's connection, shared by all that talk to it, made again after it was lost. */
interface Line {
  target: SshTarget;
  connection(): Promise<Connection>;
  /** Forgets a connection that turned out dead, so that the next command makes a new one. */
  drop(connection: Connection): void;
  close(): void;
}

function line(target: SshTarget, via: Line | undefined, open: Open): Line {
  let current: Promise<Connection> | undefined;
  let live: Connection | undefined;
  return {
    target,
    connection() {
      if (live?.lost) {
        live = undefined;
        current = undefined;
      }
      current ??= open(target, via).then(
        (connection) => {
          live = connection;
          return connection;
        },
        (error: unknown) => {
          current = undefined;
          throw error;
        },
      );
      return current;
    },
    drop(connection) {
      connection.close();
      if (live !== connection) return;
      live = undefined;
      current = undefined;
    },
    close() {
      live?.close();
    },
  };
}

function openConnection(
  target: SshTarget,
  via: Line | undefined,
  key: () => Promise<PrivateKey>,
  options: FleetOptions,
  signal: AbortSignal,
): Promise<Connection> {
  return connect(target, {
    key,
    signal,
    ...definedOnly({ readyTimeout: options.readyTimeout, patience: options.patience }),
    ...(via ? { open: async (to) => (await via.connection()).forward(to) } : {}),
    onRetry: (error, waitMs) =>
      options.log({
        kind: 'progress',
        text: `${error.message}; trying again in ${(waitMs / 1_000).toFixed(1)} s`,
      }),
  });
}

function hostOf(own: Line, position: number, several: boolean): Host {
  return {
    position,
    name: own.target.server,
    prefix: several ? `host ${position}: ` : '',
    exec: (command, options = {}) => {
      manyMayListen(options.signal);
      // A server at its limit of sessions has run nothing, so this alone may be repeated.
      return retry(
        {
          tries: 5,
          deadline: 20_000,
          first: 200,
          longest: 3_000,
          ...definedOnly({ signal: options.signal }),
          worthwhile: (error) => error instanceof SshError && error.kind === 'no-session',
        },
        async () => {
          const connection = await abortable(own.connection(), options.signal);
          try {
            return await connection.exec(command, options);
          } catch (error) {
            if (error instanceof SshError && error.kind === 'lost') own.drop(connection);
            throw error;
          }
        },
      );
    },
  };
}

/** All servers listen to one signal. Node takes more than ten listeners for a leak, and would print a warning. */
function manyMayListen(signal: AbortSignal | undefined): void {
  if (signal) setMaxListeners(0, signal);
}

/** The connection is shared, so a person who cancels leaves it to the others and only stops waiting. */
function abortable<T>(work: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  if (!signal) return work;
  return new Promise((resolve, reject) => {
    const listenNoMore = whenAborted(signal, () => reject(new Cancelled()));
    work.then(resolve, reject).finally(listenNoMore);
  });
}
