import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { askDaemon, messageParts, question } from '../../../src/worker/supervisor/pm2-socket.js';
import { appFiles } from '../../servers/fixture-app.js';
import { type Origin, startOrigin } from '../../servers/origin.js';
import { startVps, type Vps } from '../../servers/vps.js';

describe('a message of the daemon', () => {
  const whole = question('getMonitorData');

  test('is read once all of it is there', () => {
    for (let length = 0; length < whole.length; length++)
      assert.equal(messageParts(whole.subarray(0, length)), undefined, `${length} bytes`);
    assert.deepEqual(messageParts(whole)?.map(String), [
      'j:{"type":"call","method":"getMonitorData","args":[{}]}',
      's:1',
    ]);
  });

  test('of another protocol is refused', () => {
    assert.throws(() => messageParts(Buffer.from('HTTP/1.1 400')), /another protocol/);
  });
});

describe('a daemon', () => {
  const folder = mkdtempSync(join(tmpdir(), 'pm2-socket-'));
  after(() => rmSync(folder, { recursive: true, force: true }));

  async function answeredBy(name: string, answer: (socket: Socket) => void): Promise<unknown> {
    const path = join(folder, name);
    const server = createServer((socket) => {
      socket.on('error', () => undefined).once('data', () => answer(socket));
    });
    await new Promise<void>((resolve) => server.listen(path, resolve));
    try {
      return await askDaemon(path, 'getMonitorData', 300);
    } finally {
      server.close();
    }
  }

  /** A message of one part. */
  const frame = (text: string): Buffer => Buffer.from([0x11, 0, 0, 0, text.length, ...Buffer.from(text)]);

  const REFUSALS: [what: string, answer: (socket: Socket) => void, why: RegExp][] = [
    ['is silent', () => undefined, /did not answer within 300 ms/],
    ['closes', (socket) => socket.end(), /closed the connection/],
    ['cuts', (socket) => socket.end(question('x').subarray(0, 9)), /closed the connection/],
    ['speaks HTTP', (socket) => socket.end('HTTP/1.1 400 Bad Request\r\n\r\n'), /another protocol/],
    ['knows no such method', (socket) => socket.end(frame('j:{"error":"no"}')), /refused: no/],
    ['answers a text', (socket) => socket.end(frame('s:hello')), /no JSON/],
  ];
  for (const [what, answer, why] of REFUSALS)
    test(`that ${what} is an error`, () =>
      assert.rejects(() => answeredBy(what.replaceAll(' ', '-'), answer), why));

  test('that is gone is an error', () =>
    assert.rejects(() => askDaemon(join(folder, 'nobody'), 'x', 300), { code: 'ENOENT' }));
});

describe('PM2 itself', () => {
  let origin: Origin;
  let vps: Vps;
  before(async () => {
    origin = startOrigin(appFiles('v1'));
    vps = await startVps(origin);
  });
  after(async () => {
    await vps?.stop();
    origin?.stop();
  });

  test('answers what its command line prints', async () => {
    const listed = JSON.parse((await vps.run('pm2 jlist')).stdout) as { pm2_env: object }[];
    const asked = (await askDaemon(join(vps.home, '.pm2', 'rpc.sock'), 'getMonitorData', 5_000)) as unknown[];
    // What changes from one moment to the next.
    const still = (list: unknown): unknown =>
      JSON.parse(JSON.stringify(list, (key, value) => (/^(monit|axm_monitor)$/.test(key) ? null : value)));
    assert.deepEqual(still(asked), still(listed));
    assert.equal(asked.length > 0, true);
  });
});
