import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { sealer, unseal } from '../../../src/lib/seal.js';
import type { WorkerEvent } from '../../../src/worker/protocol.js';
import { openReporter, type Reporter } from '../../../src/worker/run/reporter.js';
import type { RunFolder } from '../../../src/worker/state/run-folder.js';

const KEY = Buffer.alloc(32, 7);
const SECRET = 'of-the-host-5uX8';

/** What a run leaves in its folder: the events, and the log of all output. */
async function told(work: (teller: Reporter) => unknown): Promise<{ events: WorkerEvent[]; log: string }> {
  const path = mkdtempSync(join(tmpdir(), 'muva-teller-'));
  try {
    const folder = { events: join(path, 'events'), log: join(path, 'log') } as RunFolder;
    const teller = openReporter(folder, sealer(KEY));
    teller.hide([SECRET]);
    await work(teller);
    teller.close();
    const lines = readFileSync(folder.events, 'utf8')
      .split('\n')
      .filter((line) => line !== '');
    return {
      events: lines.map((line) => JSON.parse(unseal(KEY, line)!.event) as WorkerEvent),
      log: readFileSync(folder.log, 'utf8'),
    };
  } finally {
    rmSync(path, { recursive: true, force: true });
  }
}

const outputOf = (events: WorkerEvent[]): string =>
  events.map((event) => (event.kind === 'output' ? event.text : '')).join('');

test('row 129: a secret of the server is hidden wherever chunks cut it, and nothing else is lost', async () => {
  const text = `a ${SECRET} b\n${'x'.repeat(16_377)}${SECRET}\nlast ${SECRET}`;
  const shown = text.replaceAll(SECRET, '***');
  for (const size of [1, 7, 8_192, 100_000]) {
    const { events, log } = await told((teller) => {
      const output = teller.output('build')();
      for (let at = 0; at < text.length; at += size) output.take(text.slice(at, at + size));
      output.finish();
    });
    assert.equal(log, shown, `chunks of ${size}`);
    assert.equal(outputOf(events), shown, `chunks of ${size}`);
  }
});

test('row 129: steps, warnings and results that quote a secret of the server', async () => {
  const { events } = await told(async (teller) => {
    await teller.step(
      'build',
      async () => 1,
      () => `with ${SECRET}`,
    );
    teller.warn({ message: SECRET, next: Buffer.from(SECRET).toString('hex') });
    teller.progress(encodeURIComponent(SECRET));
  });
  assert.equal(events.length, 3);
  assert.doesNotMatch(JSON.stringify(events), /5uX8|6f662d74/);
});

test('row 137: work whose result cannot be put into words has passed all the same', async () => {
  const { events } = await told(async (teller) => {
    const value = await teller.step(
      'build',
      async () => 1,
      () => {
        throw new Error('no words');
      },
    );
    assert.equal(value, 1);
  });
  assert.ok(events[0]?.kind === 'step' && events[0].step.outcome === 'passed', JSON.stringify(events));
});

test('a secret that equals a word of ours changes no outcome, commit or name', async () => {
  const { events } = await told((teller) => {
    teller.hide(['deployed', 'a'.repeat(40)]);
    const problem = { message: 'deployed badly' };
    teller.event({
      kind: 'ended',
      result: { outcome: 'deployed', deployedSha: 'a'.repeat(40), problems: [problem], warnings: [] },
    });
  });
  assert.deepEqual(events, [
    {
      kind: 'ended',
      result: {
        outcome: 'deployed',
        deployedSha: 'a'.repeat(40),
        problems: [{ message: '*** badly' }],
        warnings: [],
      },
    },
  ]);
});
