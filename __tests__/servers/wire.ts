import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import { reset } from './reset.js';

/** A TCP proxy that can cut, freeze and count what goes through it. */
export interface Wire {
  host: string;
  port: number;
  /** Connections made so far. */
  connections(): number;
  /** Breaks every open connection with RST, or closes it with FIN. */
  cut(how: 'reset' | 'close'): void;
  /** Bytes go nowhere in either direction, and nobody is told; new connections are accepted and get no answer. */
  freeze(): void;
  /** From now on bytes flow again, for new connections. */
  thaw(): void;
  /** New connections are refused at once with RST. */
  refuse(refusing: boolean): void;
  stop(): Promise<void>;
}

export async function startWire(target: { host: string; port: number }): Promise<Wire> {
  const pairs = new Set<[Socket, Socket]>();
  let made = 0;
  let frozen = false;
  let refusing = false;
  const server = createServer({ noDelay: true }, (near) => {
    made++;
    near.on('error', () => {});
    if (refusing) return reset(near);
    const far = connect({ ...target, noDelay: true });
    const pair: [Socket, Socket] = [near, far];
    pairs.add(pair);
    far.on('error', () => near.destroy());
    near.on('data', (chunk) => frozen || far.write(chunk));
    far.on('data', (chunk) => frozen || near.write(chunk));
    near.on('end', () => frozen || far.end());
    far.on('end', () => frozen || near.end());
    near.on('close', () => {
      pairs.delete(pair);
      far.destroy();
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const cut = (how: 'reset' | 'close'): void => {
    for (const [near] of pairs) how === 'reset' ? reset(near) : near.destroy();
  };
  return {
    host: '127.0.0.1',
    port: (server.address() as AddressInfo).port,
    connections: () => made,
    cut,
    freeze() {
      frozen = true;
    },
    thaw() {
      cut('reset');
      frozen = false;
    },
    refuse(value) {
      refusing = value;
    },
    async stop() {
      const closed = new Promise((resolve) => server.close(resolve));
      cut('reset');
      await closed;
    },
  };
}
