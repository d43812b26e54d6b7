import type { LookupFunction } from 'node:net';

/** The name under which a program of this machine is asked, whether it listens on IPv4 or IPv6. */
export const LOOPBACK = 'localhost';

const ADDRESSES = [
  { address: '127.0.0.1', family: 4 },
  { address: '::1', family: 6 },
];

/**
 * Both addresses of `LOOPBACK`, for a connection that tries one after the other: an application may listen on either
 * alone. The hosts file of the machine is not asked.
 */
export const lookupLoopback: LookupFunction = (_name, { all }, done) => {
  if (all) done(null, ADDRESSES);
  else done(null, ADDRESSES[0]!.address, ADDRESSES[0]!.family);
};
