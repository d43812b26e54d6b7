import { createHash } from 'node:crypto';
import { fingerprintsFor } from '../../inputs/checks/fingerprints.js';
import { type Address, linesFor, parseKnownHosts } from '../../inputs/checks/known-hosts.js';
import type { Problem } from '../../lib/report.js';

export { type Address, keyType } from '../../inputs/checks/known-hosts.js';

/**
 * Decides whether a server is the one that was meant. What is trusted comes from known_hosts lines and SHA256
 * fingerprints alone; nothing is learnt on first use.
 */

export interface Trust {
  /** Key type and base64 of each trusted key. */
  keys: { type: string; blob: string }[];
  /** `SHA256:...` without padding. */
  fingerprints: string[];
  revoked: string[];
  /** known_hosts has only keys signed by an authority for this host, which the client cannot check. */
  authorityOnly: boolean;
}

export type HostKeyVerdict = 'trusted' | 'unknown' | 'changed' | 'revoked';

/** Gathers what is trusted for one address. `only`: there is one server in all, so a fingerprint needs no name. */
export function trustFor(
  address: Address,
  given: { knownHosts?: string; fingerprints: readonly string[] },
  only: boolean,
): Trust {
  const { keys, revoked, authorities } = linesFor(parseKnownHosts(given.knownHosts ?? ''), address);
  return {
    keys: keys.map(({ type, blob }) => ({ type, blob })),
    fingerprints: fingerprintsFor(address, given.fingerprints, only),
    revoked: revoked.map((line) => line.blob),
    authorityOnly: keys.length === 0 && authorities.length > 0,
  };
}

/** `SHA256:` and base64 without padding, as ssh-keygen -l prints it. */
export function fingerprint(blob: Buffer): string {
  return `SHA256:${createHash('sha256').update(blob).digest('base64').replace(/=+$/, '')}`;
}

/** Judges the key that a server showed. Synchronous on purpose: the client takes a promise for a yes. */
export function judgeHostKey(trust: Trust, blob: Buffer): HostKeyVerdict {
  const text = blob.toString('base64');
  if (trust.revoked.includes(text)) return 'revoked';
  if (trust.keys.some((key) => key.blob === text)) return 'trusted';
  if (trust.fingerprints.includes(fingerprint(blob))) return 'trusted';
  return trust.keys.length + trust.fingerprints.length === 0 ? 'unknown' : 'changed';
}

const ALGORITHMS: Readonly<Record<string, readonly string[]>> = {
  'ssh-ed25519': ['ssh-ed25519'],
  'ecdsa-sha2-nistp256': ['ecdsa-sha2-nistp256'],
  'ecdsa-sha2-nistp384': ['ecdsa-sha2-nistp384'],
  'ecdsa-sha2-nistp521': ['ecdsa-sha2-nistp521'],
  'ssh-rsa': ['rsa-sha2-512', 'rsa-sha2-256', 'ssh-rsa'],
};

/**
 * The key types to ask the server for, one try after the other. A server with several keys shows only one per
 * connection, so without pinning the types a right fingerprint of another type looks like a changed key.
 */
export function hostKeyTries(trust: Trust): string[][] {
  const known = [...new Set(trust.keys.map((key) => key.type))].flatMap((type) => ALGORITHMS[type] ?? []);
  if (trust.fingerprints.length === 0 && known.length > 0) return [known];
  const rest = [
    ALGORITHMS['ssh-ed25519']!,
    ['ecdsa-sha2-nistp256', 'ecdsa-sha2-nistp384', 'ecdsa-sha2-nistp521'],
    ALGORITHMS['ssh-rsa']!,
  ].map((types) => types.filter((type) => !known.includes(type)));
  return [known, ...rest].filter((types) => types.length > 0);
}

export interface SeenKey {
  judgement: HostKeyVerdict;
  fingerprint: string;
  type: string;
}

/** Why no connection was made, with what was seen, what was pinned and how to check. Names no host. */
export function hostKeyProblem(server: string, trust: Trust, seen: readonly SeenKey[]): Problem {
  const got = seen.map((key) => `${key.fingerprint} (${key.type})`).join(', ') || 'no key of these types';
  const pinned = [
    ...trust.fingerprints,
    ...trust.keys.map((key) => `${fingerprint(Buffer.from(key.blob, 'base64'))} (${key.type})`),
  ];
  const check = `Run on ${server} itself: for key in /etc/ssh/ssh_host_*_key.pub; do ssh-keygen -lf "$key"; done`;
  if (seen.some((key) => key.judgement === 'revoked')) {
    return {
      message: `${server} showed a host key that ssh-known-hosts marks as revoked: ${got}`,
      next: `Do not connect with it. Give the server a new host key, and put that one into ssh-fingerprint. ${check}`,
    };
  }
  if (pinned.length === 0) {
    return {
      message: `${server} is not pinned: ${trust.authorityOnly ? 'ssh-known-hosts has only @cert-authority lines for it, which are not supported' : 'neither ssh-known-hosts nor ssh-fingerprint has a key for it'}. It showed ${got}`,
      next: `${check} - and where it prints the same, add that SHA256:... to ssh-fingerprint (with several servers: the host name, a space, and the fingerprint).`,
    };
  }
  return {
    message: `${server} is not the one that was pinned: got ${got}, pinned ${pinned.join(', ')}`,
    next: `${check} - where it prints what we got, the server has a new key: change the pin. Where it does not, somebody stands between: do not connect.`,
  };
}
