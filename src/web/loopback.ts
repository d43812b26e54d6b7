import type { LookupFunction } from 'node:net';

/** The name under which a program of this machine is asked, whichever family of addresses it listens on. */
export const LOOPBACK = 'localhost';

const ADDRESSES = [
  { address: '127.0.0.1', family: 4 },
  { address: '::1', family: 6 },
];

/**
 * Both addresses of `LOOPBACK`, for a connection that tries one after the other: an application may listen on either
 * alone, and what the host's own tables say about the name is nobody's concern.
 */
export const lookupLoopback: LookupFunction = (_name, { all }, done) => {
  if (all) done(null, ADDRESSES);
  else done(null, ADDRESSES[0]!.address, ADDRESSES[0]!.family);
};
