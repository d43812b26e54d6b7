import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { after, before, describe, test } from 'node:test';
import ssh2 from 'ssh2';
import { type Sshd, startSshd } from '../servers/sshd.js';

const kinds = existsSync('/usr/sbin/sshd') ? (['openssh', 'embedded'] as const) : (['embedded'] as const);

for (const kind of kinds) {
  describe(`the test server of ${kind}`, () => {
    let server: Sshd;
    before(async () => {
      server = await startSshd({ kind, environment: { PM2_HOME: '/somewhere else' } });
    });
    after(() => server.stop());

    test('runs a command in the sandbox, with stdin, exit code and signals', async () => {
      const client = await connected(server);
      const seen = await run(client, 'printf "%s|%s|%s|" "$HOME" "$PWD" "$PM2_HOME"; cat; exit 7', 'in');
      assert.deepEqual(seen, {
        code: 7,
        signal: undefined,
        stdout: `${server.home}|${server.home}|/somewhere else|in`,
      });
      assert.equal((await run(client, 'kill -9 $$', '')).signal, 'KILL');
      client.end();
    });

    test('drops its connections and goes on listening', async () => {
      const client = await connected(server);
      const closed = new Promise<void>((resolve) => client.once('close', () => resolve()));
      client.on('error', () => {});
      await server.dropConnections();
      await closed;
      const again = await connected(server);
      assert.equal((await run(again, 'echo back', '')).stdout, 'back\n');
      again.end();
    });
  });
}

function connected(server: Sshd): Promise<ssh2.Client> {
  return new Promise((resolve, reject) => {
    const client = new ssh2.Client();
    client.once('ready', () => {
      client.setNoDelay(true);
      resolve(client);
    });
    client.once('error', reject);
    client.connect({
      host: server.host,
      port: server.port,
      username: server.user,
      privateKey: server.privateKey,
    });
  });
}

function run(
  client: ssh2.Client,
  command: string,
  stdin: string,
): Promise<{ code: number | undefined; signal: string | undefined; stdout: string }> {
  return new Promise((resolve, reject) => {
    client.exec(command, (error, channel) => {
      if (error) return reject(error);
      let stdout = '';
      let code: number | undefined;
      let signal: string | undefined;
      channel.on('data', (chunk: Buffer) => {
        stdout += chunk;
      });
      channel.on('exit', (exit: number | null, name?: string) => {
        code = exit ?? undefined;
        signal = name?.replace(/^SIG/, '');
      });
      channel.on('close', () => resolve({ code, signal, stdout }));
      channel.end(stdin);
    });
  });
}
