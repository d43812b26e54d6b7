import assert from 'node:assert/strict';
import { createServer, type Server } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import { test } from 'node:test';
import { speaksTls } from '../../../src/worker/host/port.js';
import {
  elsewhereOn,
  isReachedByLoopback,
  listeningAddresses,
  portsHeldBy,
  readableAddress,
} from '../../../src/worker/host/processes.js';
import { makeCertificate } from '../../servers/certificate.js';

async function listening(server: Server, host: string, work: (port: number) => Promise<void>): Promise<void> {
  await new Promise<void>((done) => server.listen(0, host, done));
  const address = server.address();
  try {
    await work(typeof address === 'object' && address !== null ? address.port : 0);
  } finally {
    server.closeAllConnections();
    server.close();
  }
}

test('an application that speaks TLS on its own port is known by its handshake', async () => {
  await listening(createTlsServer(makeCertificate()), '127.0.0.1', async (port) => {
    assert.equal(await speaksTls(port, 2_000), true);
  });
  await listening(
    createServer((_, response) => response.end()),
    '127.0.0.1',
    async (port) => {
      assert.equal(await speaksTls(port, 2_000), false);
    },
  );
});

test('the ports that a program holds, and whether loopback reaches them', async () => {
  for (const host of ['127.0.0.1', '0.0.0.0'])
    await listening(createServer(), host, async (port) => {
      assert.ok(portsHeldBy(new Set([process.pid])).includes(port));
      assert.deepEqual(elsewhereOn(port), []);
    });
});

test('an address on which loopback is not heard is told as people write it', () => {
  const table = `  sl  local_address rem_address   st
   0: 0501A8C0:0BB8 00000000:0000 0A 00000000:00000000 00:00000000 00000000  0 0 11 1
   1: 0100007F:0BB9 00000000:0000 0A 00000000:00000000 00:00000000 00000000  0 0 12 1
   2: 0501A8C0:0BB8 0100007F:9999 01 00000000:00000000 00:00000000 00000000  0 0 13 1`;
  assert.deepEqual(listeningAddresses(table, 3000).map(readableAddress), ['192.168.1.5']);
  const heard = ['0100007F', '0501007F', '00000000', '0'.repeat(32), `${'0'.repeat(24)}01000000`];
  for (const address of [...heard, `${'0'.repeat(16)}FFFF00000100007F`])
    assert.equal(isReachedByLoopback(address), true, address);
  for (const address of ['0501A8C0', 'B80D01200000000000000000', `${'0'.repeat(16)}FFFF00000501A8C0`])
    assert.equal(isReachedByLoopback(address), false, address);
});
