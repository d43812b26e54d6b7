/** A TCP proxy that produces the faults of networks: cut, reset, swallowed and dripping connections; it counts flights. */
import { once } from 'node:events';
import { connect, createServer, type Socket } from 'node:net';
import { reset } from './reset.js';

export interface FaultProxy {
  readonly port: number;
  /** The same URL through the proxy. */
  through(url: string): string;
  /** Connections made so far. */
  connections(): number;
  /** Turns in which a client had to wait for the server: logging in takes three (SCRAM), each message one. */
  flights(): number;
  /** Bytes from clients so far, over all connections. */
  sent(): number;
  /** Breaks every open connection: an orderly end, a reset, or silence in both directions. */
  breakNow(how: Break): void;
  /** Breaks as soon as a client's message that holds `text` has gone to the server; its answer is lost. */
  breakAfterRequest(text: string, how: Break): void;
  /** Breaks when the server's answer holds `text`: that answer is lost. */
  breakOnAnswer(text: string, how: Break): void;
  /** Whether what clients send on their open connections is taken from them. */
  take(on: boolean): void;
  /** Answers are held back from now on: one byte at a time, `milliseconds` apart. */
  drip(milliseconds: number): void;
  /** New connections are refused (closed at once) while this is on. */
  refuse(on: boolean): void;
  stop(): Promise<void>;
}

type Break = 'end' | 'reset' | 'silence';

export interface FaultProxyOptions {
  target: number;
  /** Milliseconds each way. */
  latency?: number;
}

interface Pair {
  client: Socket;
  server: Socket;
  silent: boolean;
}

export async function startFaultProxy({ target, latency = 0 }: FaultProxyOptions): Promise<FaultProxy> {
  const pairs = new Set<Pair>();
  let connections = 0;
  let flights = 0;
  let sent = 0;
  let refusing = false;
  let dripping = 0;
  let onRequest: { text: string; how: Break } | undefined;
  let onAnswer: { text: string; how: Break } | undefined;

  const breakPair = (pair: Pair, how: Break): void => {
    if (how === 'silence') {
      pair.silent = true;
      return;
    }
    pairs.delete(pair);
    for (const socket of [pair.client, pair.server]) {
      if (how === 'reset') reset(socket);
      else socket.end();
    }
  };
  const later = (work: () => void): void => {
    if (latency === 0) work();
    else setTimeout(work, latency);
  };

  const listener = createServer({ noDelay: true }, (client) => {
    if (refusing) {
      client.destroy();
      return;
    }
    connections++;
    const server = connect({ port: target, host: '127.0.0.1', noDelay: true });
    const pair: Pair = { client, server, silent: false };
    pairs.add(pair);
    let waiting = false;
    client.on('data', (chunk) => {
      if (pair.silent) return;
      sent += chunk.length;
      waiting = true;
      later(() => {
        server.write(chunk, () => {
          if (!onRequest || !chunk.includes(onRequest.text)) return;
          const { how } = onRequest;
          onRequest = undefined;
          // The request has left; an orderly end of the server's side would let it finish too.
          if (how === 'reset') reset(client);
          else if (how === 'end') client.end();
          pair.silent = true;
          client.removeAllListeners('data');
        });
      });
    });
    server.on('data', (chunk) => {
      if (waiting) flights++;
      waiting = false;
      if (pair.silent) return;
      if (onAnswer && chunk.includes(onAnswer.text)) {
        const { how } = onAnswer;
        onAnswer = undefined;
        breakPair(pair, how);
        return;
      }
      later(() => (dripping > 0 ? dripOut(client, chunk, dripping) : client.write(chunk)));
    });
    for (const [one, other] of [
      [client, server],
      [server, client],
    ] as const) {
      one.on('error', () => undefined);
      one.on('close', () => {
        pairs.delete(pair);
        if (!pair.silent || one === client) other.destroy();
      });
    }
  }).listen(0, '127.0.0.1');
  await once(listener, 'listening');
  const address = listener.address();
  if (address === null || typeof address === 'string') throw new Error('no port');
  const { port } = address;
  return {
    port,
    through: (url) => url.replace(/@127\.0\.0\.1:\d+/, `@127.0.0.1:${port}`),
    connections: () => connections,
    flights: () => flights,
    sent: () => sent,
    breakNow: (how) => {
      for (const pair of [...pairs]) breakPair(pair, how);
    },
    breakAfterRequest: (text, how) => {
      onRequest = { text, how };
    },
    breakOnAnswer: (text, how) => {
      onAnswer = { text, how };
    },
    take: (on) => {
      for (const { client } of pairs)
        if (on) client.resume();
        else client.pause();
    },
    drip: (milliseconds) => {
      dripping = milliseconds;
    },
    refuse: (on) => {
      refusing = on;
    },
    async stop() {
      if (!listener.listening) return;
      for (const pair of [...pairs]) breakPair(pair, 'reset');
      listener.close();
      await once(listener, 'close');
    },
  };
}

function dripOut(client: Socket, chunk: Buffer, milliseconds: number): void {
  let index = 0;
  const timer = setInterval(() => {
    if (index >= chunk.length || client.destroyed) {
      clearInterval(timer);
      return;
    }
    client.write(chunk.subarray(index, index + 1));
    index++;
  }, milliseconds);
}
