import { EMPTY_CONNECTION } from '../lib/empty-connection.js';
import {
  fingerprintsFor,
  type HostFingerprint,
  labelMeans,
  parseFingerprint,
} from './checks/fingerprints.js';
import { type Address, type KnownHostsLine, linesFor, parseKnownHosts } from './checks/known-hosts.js';
import type { InputReader } from './input-reader.js';
import { splitList, withoutQuotes } from './lists.js';

/** A server that must be pinned, and what it is called: host names are often secrets. */
export interface PinTarget extends Address {
  /** `the server`, `host 2`, `the jump host`. */
  name: string;
}

export interface Pins {
  knownHosts?: string;
  /** `SHA256:...` or `host SHA256:...`, without padding. */
  fingerprints: string[];
}

const ON_THE_SERVER = 'Run on the server: ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub';

/**
 * Reads what the servers are told from impostors by. A pin that cannot apply, or a server without one, would fail
 * only when it is connected to; here it is told with all else. `targets` is empty where the servers are not known.
 */
export function readPins(reader: InputReader, targets: readonly PinTarget[]): Pins {
  const knownHosts = repairKnownHosts(reader.value('ssh-known-hosts') ?? '');
  const entries = splitList(reader.value('ssh-fingerprint') ?? '');
  if (knownHosts === '' && entries.length === 0)
    reader.complain(
      'ssh-fingerprint',
      `${EMPTY_CONNECTION}; ssh-known-hosts is empty too, and the server could not be told from an impostor`,
      `${ON_THE_SERVER}  and put the SHA256:... part into ssh-fingerprint.`,
    );
  const fingerprints = readFingerprints(reader, entries, targets);
  if (targets.length > 0 && !reader.complained('ssh-fingerprint', 'ssh-known-hosts'))
    addUnpinnedProblems(reader, targets, knownHosts, fingerprints);
  return { ...(knownHosts === '' ? {} : { knownHosts }), fingerprints: fingerprints.map(({ text }) => text) };
}

interface ReadFingerprint extends HostFingerprint {
  /** As the connection reads it. */
  text: string;
  /** Counts from 1. */
  entry: number;
}

function readFingerprints(
  reader: InputReader,
  entries: readonly string[],
  targets: readonly PinTarget[],
): ReadFingerprint[] {
  const fingerprints: ReadFingerprint[] = [];
  entries.forEach((entry, index) => {
    const read = parseFingerprint(entry);
    if ('wrong' in read) {
      reader.complain('ssh-fingerprint', `entry ${index + 1} ${read.wrong}`, read.right);
      return;
    }
    const label = read.label ?? labelOfComment(read, targets);
    const named = label === undefined ? {} : { label };
    const text = label === undefined ? read.print : `${label} ${read.print}`;
    fingerprints.push({ print: read.print, ...named, text, entry: index + 1 });
  });
  return fingerprints;
}

/** What ssh-keyscan gives to ssh-keygen comes back with the host's name as the comment. */
function labelOfComment({ comment }: HostFingerprint, targets: readonly PinTarget[]): string | undefined {
  if (comment === undefined || targets.length < 2) return undefined;
  return targets.some((target) => labelMeans(comment, target)) ? comment : undefined;
}

/** Entries that apply to no server here are no fault by themselves: a job may list the servers of all its steps. */
function addUnpinnedProblems(
  reader: InputReader,
  targets: readonly PinTarget[],
  knownHosts: string,
  fingerprints: readonly ReadFingerprint[],
): void {
  const only = targets.length === 1;
  const texts = fingerprints.map(({ text }) => text);
  const lines = parseKnownHosts(knownHosts);
  const unpinned = targets.filter(
    (target) =>
      linesFor(lines, target).keys.length === 0 && fingerprintsFor(target, texts, only).length === 0,
  );
  if (unpinned.length === 0) return;
  const nameless = only ? undefined : fingerprints.find(({ label }) => label === undefined);
  const stray = fingerprints.filter(
    ({ label }) => label !== undefined && !targets.some((target) => labelMeans(label, target)),
  );
  const right = `${ON_THE_SERVER}  and put ${only ? 'SHA256:...' : '"host SHA256:..."'} into ssh-fingerprint.`;
  if (nameless !== undefined) {
    reader.complain(
      'ssh-fingerprint',
      `entry ${nameless.entry} does not say which server it is for, and there are ${targets.length}`,
      'Write "host SHA256:..." per line, with the host as in ssh-host or ssh-jump.',
    );
    return;
  }
  for (const target of unpinned) {
    if (stray.length > 0) {
      const which = stray.map(({ entry }) => entry).join(', ');
      reader.complain(
        'ssh-fingerprint',
        `${target.name} has no fingerprint, and the host in entry ${which} is in neither ssh-host nor ssh-jump`,
        'Write the host as in ssh-host or ssh-jump: host SHA256:...',
      );
    } else if (knownHosts === '') reader.complain('ssh-fingerprint', `has none for ${target.name}`, right);
    else reader.complain('ssh-known-hosts', whyUnreadable(knownHosts, lines, target), right);
  }
}

function whyUnreadable(knownHosts: string, lines: readonly KnownHostsLine[], target: PinTarget): string {
  if (linesFor(lines, target).authorities.length > 0)
    return `has only @cert-authority lines for ${target.name}, which are not supported`;
  if (lines.length > 0) return `has no line for ${target.name}`;
  if (/^\s*(ssh|ecdsa|sk)-\S+ AAAA/m.test(knownHosts))
    return 'is a public key without the name of its host: the line is "host ssh-ed25519 AAAA..."';
  return 'has no line that can be read: each is "host ssh-ed25519 AAAA..."';
}

/** Undoes what secret stores and copying do to lines: quotes around the whole, line breaks written as \n. */
function repairKnownHosts(text: string): string {
  return withoutQuotes(text.replace(/^\uFEFF/, '').trim())
    .replace(/\\r\\n|\\n/g, '\n')
    .trim();
}
