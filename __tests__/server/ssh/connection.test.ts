import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { createServer, type Server, type Socket } from 'node:net';
import { after, before, describe, test } from 'node:test';
import { type FleetOptions, openFleet } from '../../../src/server/fleet/fleet.js';
import { SshError, type SshErrorKind } from '../../../src/server/ssh/ssh-error.js';
import { makeKeyPair, type Sshd, startSshd } from '../../servers/sshd.js';
import { until } from '../../servers/until.js';
import { startWire } from '../../servers/wire.js';
import { sshSettings } from '../fleet-settings.js';

type Change = Parameters<typeof sshSettings>[1];

const kinds = existsSync('/usr/sbin/sshd') ? (['openssh', 'embedded'] as const) : (['embedded'] as const);

for (const kind of kinds) {
  describe(`a connection to ${kind}`, () => {
    let server: Sshd;
    before(async () => {
      server = await startSshd({ kind, hostKeys: ['ed25519', 'ecdsa', 'rsa'] });
    });
    after(() => server.stop());

    test('runs commands with stdin and tells exit codes and signals apart', async () => {
      await withHost(server, {}, async (host) => {
        assert.deepEqual(await host.exec('cat; echo oops >&2; exit 3', { stdin: 'in' }), {
          code: 3,
          signal: null,
          stdout: 'in',
          stderr: 'oops\n',
        });
        assert.equal((await host.exec('kill -TERM $$')).signal, 'TERM');
      });
    });

    test('row 80: any fingerprint of a list is enough, whatever type of key it is of', async () => {
      for (const type of ['rsa', 'ecdsa', 'ed25519'] as const) {
        const fingerprints = [`SHA256:${'A'.repeat(43)}`, server.fingerprints[type]!];
        await withHost(server, { fingerprints }, async (host) => {
          assert.equal((await host.exec('echo in')).stdout, 'in\n', type);
        });
      }
    });

    test('known_hosts is enough, also with a key of one type only', async () => {
      for (const line of server.knownHosts.trim().split('\n')) {
        await withHost(server, { knownHosts: line }, async (host) => {
          assert.equal((await host.exec('echo in')).code, 0, line.split(' ')[1]);
        });
      }
    });

    test('row 79: a changed host key is refused, with what was seen and what was pinned', async () => {
      const pinned = `SHA256:${'B'.repeat(43)}`;
      const error = await failure(server, { fingerprints: [pinned] }, 'host-key');
      assert.ok(error.message.includes(server.fingerprints.ed25519!), error.message);
      assert.ok(error.message.includes(server.fingerprints.rsa!), error.message);
      assert.ok(error.message.includes(pinned), error.message);
      assert.match(error.problem.next!, /ssh-keygen -lf/);
      assert.doesNotMatch(error.message, /127\.0\.0\.1/);
    });

    test('row 79: an unknown host and a revoked key are refused with their own words', async () => {
      const unknown = await failure(server, { knownHosts: `elsewhere ${makeKeyPair().public}` }, 'host-key');
      assert.match(unknown.message, /is not pinned.*SHA256:/);
      const revoked = server.knownHosts.replace(/^/gm, '@revoked ').replace(/@revoked $/, '');
      const refused = await failure(server, { knownHosts: `${revoked}\n${server.knownHosts}` }, 'host-key');
      assert.match(refused.message, /marks as revoked/);
    });

    test('row 79: a server that has no key of the pinned type is refused, and says so', async () => {
      const other = await startSshd({ kind, hostKeys: ['ed25519'] });
      try {
        const rsa = makeKeyPair('rsa').public;
        const error = await failure(other, { knownHosts: `[127.0.0.1]:${other.port} ${rsa}` }, 'host-key');
        assert.match(error.message, /got no key of these types, pinned SHA256:.* \(ssh-rsa\)/);
      } finally {
        await other.stop();
      }
    });

    test('a key that the server does not know is an authentication error, and is not repeated', async () => {
      const wire = await startWire(server);
      try {
        const other = makeKeyPair().private;
        const error = await failure(server, { privateKey: other, ports: [wire.port] }, 'auth');
        assert.match(error.problem.next!, /authorized_keys/);
        assert.equal(wire.connections(), 1);
      } finally {
        await wire.stop();
      }
    });

    test('row 90: 20 MB of output leave head and tail in bounded memory', async () => {
      await withHost(server, {}, async (host) => {
        const { stdout } = await host.exec(
          "echo first; head -c 20000000 /dev/zero | tr '\\0' x; echo; echo last",
        );
        assert.ok(stdout.length < 300_000, String(stdout.length));
        assert.match(stdout, /^first\n[\s\S]*bytes left out[\s\S]*\nlast\n$/);
      });
    });

    test('row 92: a server that opens only one session at a time gets all commands through', async () => {
      const narrow = await startSshd({ kind, maxSessions: 1 });
      try {
        await withHost(narrow, {}, async (host) => {
          const results = await Promise.all([1, 2, 3].map((word) => host.exec(`sleep 0.2; echo ${word}`)));
          assert.deepEqual(
            results.map((result) => result.stdout),
            ['1\n', '2\n', '3\n'],
          );
        });
      } finally {
        await narrow.stop();
      }
    });

    test('rows 85 and 86: a cut connection and a killed session reject with `lost`, and the next command reconnects', async () => {
      const wire = await startWire(server);
      try {
        await withHost(server, { ports: [wire.port] }, async (host) => {
          for (const cut of [
            () => wire.cut('reset'),
            () => wire.cut('close'),
            () => server.dropConnections(),
          ]) {
            const running = host.exec('echo ready; exec sleep 30', { onStdout: () => void cut() });
            await assert.rejects(running, (error) => error instanceof SshError && error.kind === 'lost');
            assert.equal((await host.exec('echo again')).stdout, 'again\n');
          }
        });
      } finally {
        await wire.stop();
      }
    });

    test('row 85: a connection that goes silent counts as lost', async () => {
      const wire = await startWire(server);
      try {
        await withHost(server, { ports: [wire.port] }, async (host) => {
          const running = host.exec('echo ready; exec sleep 30', {
            onStdout: () => wire.freeze(),
            silence: 300,
          });
          await assert.rejects(running, (error) => error instanceof SshError && error.kind === 'lost');
          wire.thaw();
          assert.equal((await host.exec('echo again')).stdout, 'again\n');
        });
      } finally {
        await wire.stop();
      }
    });

    test('a refused port is tried again until it answers', async () => {
      const wire = await startWire(server);
      try {
        wire.refuse(true);
        await withHost(server, { ports: [wire.port] }, async (host, told) => {
          const running = host.exec('echo in');
          await until('the refusal to be told', () => told.length > 0);
          wire.refuse(false);
          assert.equal((await running).stdout, 'in\n');
          assert.match(told[0]!, /the server closed the connection.*trying again in/);
        });
      } finally {
        await wire.stop();
      }
    });
  });
}

/** What makes sshd want something else than the key, beside what the test server sets for all. */
const LOGINS: [name: string, config: string[], kind: SshErrorKind, said: RegExp][] = [
  [
    'a second factor',
    ['AuthenticationMethods publickey,publickey'],
    'second-factor',
    /took the private key and asks for a second factor \(publickey\)/,
  ],
  [
    'passwords only',
    ['Match all', 'PubkeyAuthentication no', 'PasswordAuthentication yes'],
    'no-keys',
    /takes no private key for this login \(it offers password\)/,
  ],
];
if (kinds.length > 1)
  for (const [name, config, kind, said] of LOGINS)
    test(`a server that wants ${name} has not refused the key, and says so`, async () => {
      const server = await startSshd({ kind: 'openssh', config });
      try {
        const error = await failure(server, {}, kind);
        assert.match(error.message, said);
        assert.match(error.problem.next!, /sshd_config/);
        assert.equal(error.problem.code, undefined);
      } finally {
        await server.stop();
      }
    });

describe('what is not an SSH server', () => {
  const cases: { name: string; kind: SshErrorKind; answer?: (socket: Socket) => void; limit?: number }[] = [
    { name: 'nothing at all', kind: 'refused' },
    {
      name: 'a web server',
      kind: 'not-ssh',
      answer: (socket) => void socket.end('HTTP/1.1 400 Bad Request\r\n\r\n'),
    },
    { name: 'a tarpit that sends a line now and then', kind: 'not-ssh', answer: drip },
    { name: 'a firewall that holds the connection', kind: 'silent', answer: () => {} },
    { name: 'a server at its limit (MaxStartups)', kind: 'busy', answer: (socket) => void socket.end() },
  ];
  for (const { name, kind, answer } of cases) {
    test(`row 84: ${name} is called ${kind}`, async () => {
      const server = await startSshd({ kind: 'embedded' });
      const other = answer && (await startTcp(answer));
      try {
        const port = other ? other.port : 1;
        const started = performance.now();
        const error = await failure(server, { ports: [port] }, kind, { readyTimeout: 400, patience: 300 });
        assert.ok(performance.now() - started < 3_000);
        assert.doesNotMatch(JSON.stringify(error.problem), /127\.0\.0\.1/);
        assert.ok(error.problem.next);
      } finally {
        await other?.stop();
        await server.stop();
      }
    });
  }
});

function drip(socket: Socket): void {
  const timer = setInterval(() => socket.write(`${Math.random()}\r\n`), 100);
  socket.on('close', () => clearInterval(timer));
}

async function startTcp(answer: (socket: Socket) => void): Promise<{ port: number; stop(): Promise<void> }> {
  const sockets = new Set<Socket>();
  const server: Server = createServer((socket) => {
    sockets.add(socket);
    socket.on('error', () => {});
    socket.resume();
    answer(socket);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  return {
    port: typeof address === 'object' && address ? address.port : 0,
    stop: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        for (const socket of sockets) socket.destroy();
      }),
  };
}

type Host = ReturnType<typeof openFleet>['hosts'][number];

async function withHost(
  server: Sshd,
  change: Change,
  work: (host: Host, told: string[]) => Promise<void>,
  options: Partial<FleetOptions> = {},
): Promise<void> {
  const told: string[] = [];
  const fleet = openFleet(
    { ssh: sshSettings([server], change) },
    {
      dist: '/nonexistent',
      log: (entry) => void (entry.kind === 'progress' && told.push(entry.text)),
      ...options,
    },
  );
  try {
    await work(fleet.hosts[0]!, told);
  } finally {
    await fleet.close();
  }
}

async function failure(
  server: Sshd,
  change: Change,
  kind: SshErrorKind,
  options: Partial<FleetOptions> = {},
): Promise<SshError> {
  let caught: unknown;
  const run = async (host: Host): Promise<void> => {
    try {
      await host.exec('true');
    } catch (error) {
      caught = error;
    }
  };
  await withHost(server, change, run, options);
  assert.ok(caught instanceof SshError, String(caught));
  assert.equal(caught.kind, kind, caught.message);
  return caught;
}
