import { connect } from 'node:net';
import { connect as connectTls } from 'node:tls';
import { LOOPBACK, lookupLoopback } from '../../http/loopback-lookup.js';
import { VERIFIED_TLS } from '../../lib/verified-tls.js';

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

/** What is said of an application that does: nothing here asks it that way. */
export const SPEAKS_TLS = 'speaks TLS on its own port, where it is asked by plain HTTP';

/** What a handshake fails of where there is a certificate, and it is another one: that too is TLS. */
const ITS_CERTIFICATE = /^(CERT_|DEPTH_ZERO_|SELF_SIGNED_|UNABLE_TO_|ERR_TLS_CERT_)/;

/** True where a port of this host answers a TLS handshake within `timeout` milliseconds, whatever its certificate says. */
export function speaksTls(port: number, timeout: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connectTls({ host: LOOPBACK, port, lookup: lookupLoopback, ...VERIFIED_TLS });
    const done = (finished: boolean): void => {
      clearTimeout(timer);
      socket.destroy();
      resolve(finished);
    };
    const timer = setTimeout(() => done(false), timeout);
    socket
      .once('secureConnect', () => done(true))
      .once('error', (error: NodeJS.ErrnoException) => done(ITS_CERTIFICATE.test(error.code ?? '')));
  });
}
