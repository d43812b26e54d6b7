import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { runAction } from '../servers/runner.js';

const root = mkdtempSync(join(tmpdir(), 'runner-test-'));
after(() => rmSync(root, { recursive: true, force: true }));

test('the local runner sends SIGTERM 7.5 s after an ignored SIGINT, and SIGKILL 2.5 s later', async () => {
  writeFileSync(join(root, 'action.yml'), 'name: Tiny\nruns: { using: node24, main: main.js }\n');
  const forever = `console.log('ready'); setInterval(() => {}, 1000);`;
  const cancelled = async (script: string): Promise<{ signal: string | null; seconds: number }> => {
    writeFileSync(join(root, 'main.js'), script + forever);
    const result = await runAction({ root, workspace: root, cancelAfter: (log) => log.includes('ready') });
    return { signal: result.signal, seconds: result.milliseconds / 1_000 };
  };
  const term = await cancelled(`process.on('SIGINT', () => {});`);
  assert.equal(term.signal, 'SIGTERM');
  assert.ok(term.seconds > 7.4 && term.seconds < 10, String(term.seconds));
  const kill = await cancelled(`process.on('SIGINT', () => {}); process.on('SIGTERM', () => {});`);
  assert.equal(kill.signal, 'SIGKILL');
  assert.ok(kill.seconds > 9.9 && kill.seconds < 13, String(kill.seconds));
});
