import { createHash, createHmac } from 'node:crypto';
import type { Problem } from '../base/report.js';

/**
 * Decides whether a server is the one that was meant. What is trusted comes from known_hosts lines and SHA256
 * fingerprints alone; nothing is learnt on first use.
 */

/** Whose key is looked up, and what it is called where its name must not be seen. */
export interface Address {
  host: string;
  port: number;
}

export interface Trust {
  /** Key type and base64 of each trusted key. */
  keys: { type: string; blob: string }[];
  /** `SHA256:...` without padding. */
  fingerprints: string[];
  revoked: string[];
  /** known_hosts has only keys signed by an authority for this host, which the client cannot check. */
  authorityOnly: boolean;
}

export type Judgement = 'trusted' | 'unknown' | 'changed' | 'revoked';

export interface KnownHostsLine {
  marker?: 'revoked' | 'cert-authority';
  /** Comma-separated patterns, or one hashed name. */
  names: string;
  type: string;
  blob: string;
}

/** The lines of a known_hosts file as OpenSSH reads them; comments and broken lines are left out. */
export function parseKnownHosts(text: string): KnownHostsLine[] {
  const lines: KnownHostsLine[] = [];
  for (const line of text.split(/\r?\n/)) {
    const words = line.trim().split(/\s+/);
    if (words[0] === '' || words[0]!.startsWith('#')) continue;
    const marker =
      words[0] === '@revoked' ? 'revoked' : words[0] === '@cert-authority' ? 'cert-authority' : undefined;
    const [names, type, blob] = marker ? words.slice(1) : words;
    if (names === undefined || type === undefined || blob === undefined) continue;
    if (!/^[A-Za-z0-9+/]+={0,2}$/.test(blob) || keyType(Buffer.from(blob, 'base64')) !== type) continue;
    lines.push({ ...(marker ? { marker } : {}), names, type, blob });
  }
  return lines;
}

/** True where the first field of a known_hosts line means this name: hashed, or patterns with `*`, `?` and `!`. */
export function namesMatch(names: string, name: string): boolean {
  if (names.startsWith('|1|')) {
    const [, , salt, hash] = names.split('|');
    if (salt === undefined || hash === undefined) return false;
    const digest = createHmac('sha1', Buffer.from(salt, 'base64')).update(name).digest('base64');
    return digest === hash;
  }
  let found = false;
  for (const pattern of names.toLowerCase().split(',')) {
    const negated = pattern.startsWith('!');
    if (!wildcardMatch(negated ? pattern.slice(1) : pattern, name)) continue;
    if (negated) return false;
    found = true;
  }
  return found;
}

/** `*` and `?` as OpenSSH has them, without backtracking over the whole (a pattern comes from outside). */
function wildcardMatch(pattern: string, text: string): boolean {
  let p = 0;
  let t = 0;
  let star = -1;
  let mark = 0;
  while (t < text.length) {
    if (pattern[p] === '*') {
      star = p++;
      mark = t;
    } else if (p < pattern.length && (pattern[p] === '?' || pattern[p] === text[t])) {
      p++;
      t++;
    } else if (star >= 0) {
      p = star + 1;
      t = ++mark;
    } else {
      return false;
    }
  }
  while (pattern[p] === '*') p++;
  return p === pattern.length;
}

/** Gathers what is trusted for one address. `only`: there is one server in all, so a fingerprint needs no name. */
export function trustFor(
  address: Address,
  given: { knownHosts?: string; fingerprints: readonly string[] },
  only: boolean,
): Trust {
  const host = address.host.toLowerCase();
  const exact = address.port === 22 ? host : `[${host}]:${address.port}`;
  const lines = parseKnownHosts(given.knownHosts ?? '');
  const matching = lines.filter((line) => namesMatch(line.names, exact));
  // As OpenSSH does, an entry without a port counts for another port too where there is none with it.
  const used = matching.length > 0 ? matching : lines.filter((line) => namesMatch(line.names, host));
  const keys = used.filter((line) => line.marker === undefined).map(({ type, blob }) => ({ type, blob }));
  return {
    keys,
    fingerprints: fingerprintsFor(address, given.fingerprints, only),
    revoked: used.filter((line) => line.marker === 'revoked').map((line) => line.blob),
    authorityOnly: keys.length === 0 && used.some((line) => line.marker === 'cert-authority'),
  };
}

function fingerprintsFor(address: Address, lines: readonly string[], only: boolean): string[] {
  const host = address.host.toLowerCase();
  const labels = [host, `${host}:${address.port}`, `[${host}]:${address.port}`];
  const found: string[] = [];
  for (const line of lines) {
    const [first, second] = line.trim().split(/\s+/);
    const print = (second ?? first ?? '').replace(/=+$/, '');
    if (second === undefined ? only : labels.includes(first!.toLowerCase())) found.push(print);
  }
  return found;
}

/** `SHA256:` and base64 without padding, as ssh-keygen -l prints it. */
export function fingerprint(blob: Buffer): string {
  return `SHA256:${createHash('sha256').update(blob).digest('base64').replace(/=+$/, '')}`;
}

/** The type named inside a public key blob, such as ssh-ed25519. */
export function keyType(blob: Buffer): string {
  const length = blob.length >= 4 ? blob.readUInt32BE(0) : 0;
  return length > 0 && length <= 64 ? blob.subarray(4, 4 + length).toString('latin1') : '';
}

/** Judges the key that a server showed. Synchronous on purpose: the client takes a promise for a yes. */
export function judge(trust: Trust, blob: Buffer): Judgement {
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
  judgement: Judgement;
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
