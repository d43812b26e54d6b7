import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { sealer, unseal } from '../../../src/lib/seal.js';
import { type Ended, type OpenOutput, runToEnd } from '../../../src/worker/host/run-program.js';
import type { WorkerEvent } from '../../../src/worker/protocol.js';
import { openReporter } from '../../../src/worker/run/reporter.js';
import type { RunFolder } from '../../../src/worker/state/run-folder.js';

const KEY = Buffer.alloc(32, 7);
const SECRET = 'of-the-host-5uX8';

/** Runs a script whose `heard N` waits until N pieces of its output have been read; what was told and how it ended. */
async function runScript(script: string): Promise<{ ended: Ended; events: WorkerEvent[]; log: string }> {
  const folder = mkdtempSync(join(tmpdir(), 'muva-program-'));
  try {
    const files = { events: join(folder, 'events'), log: join(folder, 'log') } as RunFolder;
    const teller = openReporter(files, sealer(KEY));
    teller.hide([SECRET]);
    const open = teller.output('build');
    let pieces = 0;
    const counted: OpenOutput = () => {
      const { take, flush, finish } = open();
      return {
        take(text) {
          take(text);
          pieces += 1;
          writeFileSync(join(folder, String(pieces)), '');
        },
        flush,
        finish,
      };
    };
    const heard = 'heard() { while [ ! -e "$1" ]; do sleep 0.005; done; }';
    const ended = await runToEnd(['/bin/sh', '-c', `${heard}\n${script}`], {
      cwd: folder,
      env: process.env,
      output: counted,
    });
    teller.event({ kind: 'progress', text: 'after it' });
    teller.close();
    const lines = readFileSync(files.events, 'utf8')
      .split('\n')
      .filter((line) => line !== '');
    return {
      ended,
      events: lines.map((line) => JSON.parse(unseal(KEY, line)!.event) as WorkerEvent),
      log: readFileSync(files.log, 'utf8'),
    };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

test('row 129: half a line of one pipe is not cut open by a line of the other, so no half of a secret is told', async () => {
  const { ended, events, log } = await runScript(`
    printf 'token of-the-'; heard 1
    echo 'a warning' >&2; heard 2
    printf 'host-'; heard 3
    printf 'and another ' >&2; heard 4
    echo '5uX8'; heard 5
    printf 'last words' >&2`);
  assert.equal(log, 'a warning\ntoken ***\nand another last words');
  assert.equal(events.map((event) => (event.kind === 'output' ? event.text : '')).join(''), log);
  assert.equal(ended.tail, `a warning\ntoken ${SECRET}\nand another last words`);
  assert.equal(ended.stdout, `token ${SECRET}\n`);
});

test('the last words of a program stand before what is told after it', async () => {
  const { events } = await runScript('printf "done, without a line end"');
  assert.deepEqual(
    events.map(({ kind }) => kind),
    ['output', 'progress'],
  );
});
