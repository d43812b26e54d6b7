import { createHmac } from 'node:crypto';

/** Where a server is reached, as known_hosts lines and fingerprints name it. */
export interface Address {
  host: string;
  port: number;
}

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

/** The lines that mean one address. */
export interface AddressLines {
  /** Keys that are trusted as they are. */
  keys: KnownHostsLine[];
  revoked: KnownHostsLine[];
  /** Keys of authorities that sign host keys. */
  authorities: KnownHostsLine[];
}

/**
 * As OpenSSH does, a key without a port counts for another port too where there is none with it; a line with a marker
 * is no key. A revoked key is that at every port.
 */
export function linesFor(lines: readonly KnownHostsLine[], address: Address): AddressLines {
  const host = address.host.toLowerCase();
  const exact = address.port === 22 ? host : `[${host}]:${address.port}`;
  const withPort = lines.filter((line) => namesMatch(line.names, exact));
  const plain = lines.filter((line) => namesMatch(line.names, host));
  const marked = (marker: KnownHostsLine['marker'], among: KnownHostsLine[]): KnownHostsLine[] =>
    among.filter((line) => line.marker === marker);
  const own = marked(undefined, withPort);
  return {
    keys: own.length > 0 ? own : marked(undefined, plain),
    revoked: marked('revoked', [...withPort, ...plain]),
    authorities: marked('cert-authority', [...withPort, ...plain]),
  };
}

/** The type named inside a public key blob, such as ssh-ed25519. */
export function keyType(blob: Buffer): string {
  const length = blob.length >= 4 ? blob.readUInt32BE(0) : 0;
  return length > 0 && length <= 64 ? blob.subarray(4, 4 + length).toString('latin1') : '';
}
