import { definedOnly } from '../../lib/defined-only.js';
import type { Address } from './known-hosts.js';
import { parseHostAddress } from './names.js';

/** One entry of `ssh-fingerprint`. */
export interface HostFingerprint {
  /** The server it is for, as given; undefined where the entry names none. */
  label?: string;
  /** The comment that `ssh-keygen -l` prints behind it: the host's name where the key came from ssh-keyscan. */
  comment?: string;
  /** `SHA256:...` without padding. */
  print: string;
}

const PRINT = /SHA256:[A-Za-z0-9+/]{43}(?![A-Za-z0-9+/])=?/g;

const COMMAND = 'ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub';

/**
 * Reads `SHA256:...`, `host SHA256:...` and the whole line that `ssh-keygen -l` prints: `256 SHA256:... comment
 * (ED25519)`. The text of an entry that is none of these appears in no complaint: it may be any secret.
 */
export function parseFingerprint(entry: string): HostFingerprint | { wrong: string; right: string } {
  const found = [...entry.matchAll(PRINT)];
  if (found.length > 1) return { wrong: 'holds two fingerprints', right: 'Write one per line.' };
  const [match] = found;
  if (match === undefined) return somethingElse(entry);
  const before = entry.slice(0, match.index).trim().split(/\s+/);
  // The key's length in bits.
  if (/^\d{3,5}$/.test(before.at(-1)!)) before.pop();
  const words = before.filter((word) => word !== '');
  if (words.length > 1)
    return { wrong: 'has more than a host in front of the fingerprint', right: 'Write: host SHA256:...' };
  const comment = entry
    .slice(match.index + match[0].length)
    .replace(/\([A-Z0-9-]+\)\s*$/, '')
    .trim();
  return {
    ...definedOnly({ label: words[0] }),
    ...(comment === '' ? {} : { comment }),
    print: match[0].replace(/=$/, ''),
  };
}

function somethingElse(entry: string): { wrong: string; right: string } {
  const right = `Run on the server: ${COMMAND}`;
  if (/^(ssh|ecdsa|sk)-\S+ AAAA/.test(entry)) return { wrong: 'is a public key, not its fingerprint', right };
  if (/\s(ssh|ecdsa|sk)-\S+ AAAA/.test(entry))
    return { wrong: 'is a line of known_hosts, which belongs into ssh-known-hosts', right };
  if (/MD5:|(^|\s)([0-9a-f]{2}:){15}[0-9a-f]{2}/i.test(entry))
    return {
      wrong: 'is an MD5 fingerprint',
      right: `Run on the server: ${COMMAND.replace('-lf', '-E sha256 -lf')}`,
    };
  if (entry.includes('SHA256:'))
    return { wrong: 'is not a whole fingerprint: 43 characters follow SHA256:', right };
  return { wrong: 'is not a SHA256 fingerprint', right };
}

/** True where `host`, `host:port`, `user@host`, `[v6]` or `[host]:port` in front of a fingerprint means the address. */
export function labelMeans(label: string, address: Address): boolean {
  const host = address.host.toLowerCase();
  const named = parseHostAddress(label.toLowerCase());
  if ('host' in named)
    return named.host === host && (named.port === undefined || named.port === address.port);
  return label.toLowerCase() === `[${host}]:${address.port}`;
}

/** The fingerprints that pin one address. `only`: there is one server in all, so an entry needs no name. */
export function fingerprintsFor(address: Address, entries: readonly string[], only: boolean): string[] {
  return entries.flatMap((entry) => {
    const read = parseFingerprint(entry);
    if ('wrong' in read) return [];
    return (read.label === undefined ? only : labelMeans(read.label, address)) ? [read.print] : [];
  });
}
