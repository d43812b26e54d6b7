import type { SshSettings } from '../../src/inputs/settings.js';
import { Secret } from '../../src/lib/secret.js';
import type { Sshd } from '../servers/sshd.js';

/** SSH settings for test servers; `ports` overrides where they are reached (through a wire). */
export function sshSettings(
  servers: readonly Sshd[],
  change: Partial<Record<'knownHosts' | 'privateKey' | 'passphrase', string>> & {
    fingerprints?: string[];
    ports?: number[];
  } = {},
): SshSettings {
  const hosts = servers.map((server, index) => ({
    host: server.host,
    port: change.ports?.[index] ?? server.port,
    user: server.user,
  }));
  const prints = servers.map((server, index) => `${server.host}:${hosts[index]!.port} ${server.fingerprint}`);
  return {
    hosts,
    privateKey: new Secret(change.privateKey ?? servers[0]!.privateKey),
    ...(change.passphrase === undefined ? {} : { passphrase: new Secret(change.passphrase) }),
    ...(change.knownHosts === undefined ? {} : { knownHosts: change.knownHosts }),
    fingerprints: change.fingerprints ?? (change.knownHosts === undefined ? prints : []),
  };
}
