import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { createInterface } from 'node:readline';
import { after, test } from 'node:test';

/** Starts a program without any network: by a user namespace where the kernel allows it, else by root. */
const WITHOUT_NETWORK = [
  ['unshare', '-rn'],
  ['sudo', '-n', '-E', 'unshare', '-n'],
].find(([file, ...args]) => spawnSync(file!, [...args, 'true']).status === 0);

const folder = mkdtempSync(join(tmpdir(), 'muva-no-network-'));
after(() => rmSync(folder, { recursive: true, force: true }));

/** Runs `muva-deploy verify` on a machine without network; Ctrl-C once `enough` answers true. */
async function verify(host: string, enough: (text: string) => boolean): Promise<string> {
  assert.ok(WITHOUT_NETWORK, 'neither unshare -rn nor sudo unshare -n works on this machine');
  const [file, ...args] = WITHOUT_NETWORK;
  const cli = join(resolve(process.env.DIST ?? 'dist'), 'cli.js');
  const child = spawn(file!, [...args, process.execPath, cli, 'verify'], {
    cwd: folder,
    env: {
      PATH: process.env.PATH,
      TMPDIR: folder,
      DATABASE_URL: `postgresql://postgres:not-a-secret@${host}:5432/postgres`,
    },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  let text = '';
  for await (const line of createInterface({ input: child.stdout })) {
    text += `${line}\n`;
    if (enough(text)) child.kill('SIGINT');
  }
  return text;
}

test('row 67: a host that only IPv6 leads to, from a machine without it, is told at once', async () => {
  const started = performance.now();
  const text = await verify('[2001:db8::1]', () => false);
  assert.match(text, /cannot be reached over the network of this machine \(E(NETUNREACH|ADDRNOTAVAIL)\)/);
  assert.match(text, /next: Use the session pooler URL/);
  assert.doesNotMatch(text, /trying again/);
  assert.ok(performance.now() - started < 10_000);
});

test('row 68: a name server that does not answer is asked again', async () => {
  const text = await verify('db.abcdefghijklmnopqrst.supabase.co', (said) => said.includes('trying again'));
  assert.match(text, /the name server did not answer for the host in database-url; trying again/);
  assert.match(text, /^verify (was cancelled|failed)/m);
});
