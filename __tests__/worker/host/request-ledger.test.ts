import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, test } from 'node:test';
import { promisify } from 'node:util';
import { fileLedger } from '../../../src/worker/host/request-ledger.js';

const folder = mkdtempSync(join(tmpdir(), 'ledger-'));
after(() => rmSync(folder, { recursive: true }));

describe('row 167: the file that counts the requests of all processes', () => {
  test('row 167: what one process has sent another one sees', async () => {
    const file = join(folder, 'shared');
    const module = new URL('../../../src/worker/host/request-ledger.js', import.meta.url).href;
    const script = `const { fileLedger } = await import(${JSON.stringify(module)});
      const ledger = fileLedger(${JSON.stringify(file)});
      for (let at = 1; at <= 20; at++) ledger.add({ at, run: String(process.pid) });
      ledger.addAsset('a'.repeat(40), '/s.js?v=' + process.pid);`;
    const run = promisify(execFile);
    await Promise.all([1, 2, 3].map(() => run(process.execPath, ['--input-type=module', '-e', script])));
    const ledger = fileLedger(file);
    assert.equal(ledger.sent().length, 60);
    assert.equal(new Set(ledger.sent().map(({ run: by }) => by)).size, 3);
    assert.equal(ledger.assets('a'.repeat(40)).size, 3);
    assert.equal(ledger.assets('b').size, 0);
    assert.equal(statSync(file).mode & 0o777, 0o600);
  });

  test('row 167: it stays short, and torn lines are no requests', () => {
    const file = join(folder, 'long');
    writeFileSync(file, `${'sent 1 old\n'.repeat(10_000)}sent 2 new\nsent 3`);
    const ledger = fileLedger(file);
    assert.ok(readFileSync(file).length < 10_000);
    assert.equal(ledger.sent().at(-1)?.run, 'new');
  });

  test('row 167: where it cannot be written the process counts for itself', () => {
    const ledger = fileLedger(join(folder, 'none', 'here'));
    ledger.add({ at: 1, run: 'a' });
    ledger.addAsset('v', '/a.js');
    assert.deepEqual(ledger.sent(), [{ at: 1, run: 'a' }]);
    assert.deepEqual([...ledger.assets('v')], ['/a.js']);
  });
});
