import { connect } from 'node:net';
import { LOOPBACK, lookupLoopback } from '../../http/loopback-lookup.js';

/** True where a port of this host takes a connection within `timeout` milliseconds; it is closed again at once. */
export function connects(port: number, timeout: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ host: LOOPBACK, port, lookup: lookupLoopback, autoSelectFamily: true });
    const done = (open: boolean): void => {
      clearTimeout(timer);
      socket.destroy();
      resolve(open);
    };
    const timer = setTimeout(() => done(false), timeout);
    socket.once('connect', () => done(true)).once('error', () => done(false));
  });
}
