import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { after, before, describe, test } from 'node:test';
import { openFleet } from '../../src/server/fleet/fleet.js';
import { SshError } from '../../src/server/ssh/ssh-error.js';
import { makeKeyPair, type Sshd, startSshd } from '../servers/sshd.js';
import { startWire } from '../servers/wire.js';
import { sshSettings } from './fleet-settings.js';

const kinds = existsSync('/usr/sbin/sshd') ? (['openssh', 'embedded'] as const) : (['embedded'] as const);

test('a jump host that forbids forwarding is told with what allows it', async () => {
  const clientKey = makeKeyPair();
  const kind = kinds[0];
  const [jump, inner] = await Promise.all([
    startSshd({ kind, clientKey, forwards: false }),
    startSshd({ kind, clientKey }),
  ]);
  const fingerprints = [jump, inner].map(({ port, fingerprint }) => `[127.0.0.1]:${port} ${fingerprint}`);
  const ssh = {
    ...sshSettings([inner]),
    fingerprints,
    jump: { host: '127.0.0.1', port: jump.port, user: jump.user },
  };
  const fleet = openFleet({ ssh }, { dist: '', log: () => {}, patience: 2_000 });
  try {
    await assert.rejects(fleet.hosts[0]!.exec('true'), /the jump host does not let this login go on to/);
  } finally {
    await fleet.close();
    await Promise.all([jump.stop(), inner.stop()]);
  }
});

for (const kind of kinds) {
  describe(`through a jump host of ${kind}`, () => {
    let jump: Sshd;
    let inner: Sshd[];
    before(async () => {
      const clientKey = makeKeyPair();
      jump = await startSshd({ kind, clientKey });
      inner = await Promise.all([startSshd({ kind, clientKey }), startSshd({ kind, clientKey })]);
    });
    after(async () => {
      for (const server of [jump, ...inner]) await server.stop();
    });

    const open = (prints: readonly Sshd[], port = jump.port) => {
      const ssh = sshSettings(inner);
      const fingerprints = prints.map((server) => {
        const at = server === jump ? port : server.port;
        return `[127.0.0.1]:${at} ${server.fingerprint}`;
      });
      const at = { host: '127.0.0.1', port, user: jump.user };
      return openFleet(
        { ssh: { ...ssh, fingerprints, jump: at } },
        { dist: '', log: () => {}, patience: 2_000 },
      );
    };

    test('both servers are reached over one connection to it, and again when it was lost', async () => {
      const wire = await startWire(jump);
      const fleet = open([jump, ...inner], wire.port);
      try {
        const homes = await Promise.all(
          fleet.hosts.map(async (host) => (await host.exec('echo $HOME')).stdout.trim()),
        );
        assert.deepEqual(
          homes,
          inner.map((server) => server.home),
        );
        assert.equal(wire.connections(), 1);
        const running = fleet.hosts[0]!.exec('echo; exec sleep 30', { onStdout: () => wire.cut('reset') });
        await assert.rejects(running, (error) => error instanceof SshError && error.kind === 'lost');
        assert.equal((await fleet.hosts[1]!.exec('echo back')).stdout, 'back\n');
        assert.equal((await fleet.hosts[0]!.exec('echo back')).stdout, 'back\n');
        assert.equal(wire.connections(), 2);
      } finally {
        await fleet.close();
        await wire.stop();
      }
    });

    test('its host key is checked too, and the key of a server behind it', async () => {
      for (const [prints, server] of [
        [inner, /the jump host is not pinned/],
        [[jump, inner[0]!], /host 2 is not pinned/],
      ] as const) {
        const fleet = open(prints);
        try {
          await assert.rejects(fleet.hosts[1]!.exec('true'), server);
        } finally {
          await fleet.close();
        }
      }
    });

    test('a server that it cannot reach is told as seen from it', async () => {
      const fleet = open([jump, ...inner]);
      try {
        await inner[1]!.stop();
        await assert.rejects(
          fleet.hosts[1]!.exec('true'),
          /host 2 could not be reached \(from the jump host\)/,
        );
        assert.equal((await fleet.hosts[0]!.exec('echo in')).stdout, 'in\n');
      } finally {
        await fleet.close();
      }
    });
  });
}
