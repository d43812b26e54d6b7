import assert from 'node:assert/strict';
import { existsSync, mkdtempSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, test } from 'node:test';
import { Cancelled } from '../../../src/lib/report.js';
import type { DeployRequest, WorkerEvent } from '../../../src/worker/protocol.js';
import { type Held, type HoldContext, hold, stopsAt, whenUnheard } from '../../../src/worker/run/hold.js';
import { actionWatch } from '../../../src/worker/state/run-folder.js';
import { until } from '../../servers/until.js';

const STATES: readonly Held[] = ['installed', 'built', 'rehearsed'];

describe('where a deploy waits for the action', () => {
  const cases: [DeployRequest['cutover'], Held[]][] = [
    ['at-once', []],
    ['on-go', ['rehearsed']],
    ['step-by-step', ['built', 'rehearsed']],
    ['builds-later', ['installed', 'rehearsed']],
  ];
  for (const [cutover, expected] of cases)
    test(`${cutover}: ${expected.join(', ') || 'nowhere'}`, () =>
      assert.deepEqual(
        STATES.filter((at) => stopsAt(at, cutover)),
        expected,
      ));

  test('row 143: without the action it drops what it built, and alone goes forward with what it rehearsed', () => {
    const table = STATES.map((at) => [at, whenUnheard(at, true), whenUnheard(at, false)]);
    assert.deepEqual(table, [
      ['installed', 'drop', 'drop'],
      ['built', 'drop', 'drop'],
      ['rehearsed', 'go', 'drop'],
    ]);
  });
});

describe('waiting for a word', () => {
  const root = mkdtempSync(join(tmpdir(), 'muva-hold-'));
  after(() => rmSync(root, { recursive: true, force: true }));

  interface Waiting {
    context: HoldContext;
    told: WorkerEvent[];
    clock: string[];
    cancel: () => void;
  }

  function waiting(more: Partial<HoldContext['request']> = {}): Waiting {
    const path = mkdtempSync(join(root, 'run-'));
    const controller = new AbortController();
    const told: WorkerEvent[] = [];
    const clock: string[] = [];
    const mark = (name: string): string => join(path, name);
    const folder = { rehearse: mark('rehearse'), go: mark('go'), look: mark('look'), heard: mark('heard') };
    writeFileSync(folder.heard, '');
    return {
      told,
      clock,
      cancel: () => controller.abort(),
      context: {
        request: { cutover: 'step-by-step', goLease: 600_000, ...more },
        folder,
        reporter: {
          event: (event) => {
            told.push(event);
            return true;
          },
          progress: (text) => void told.push({ kind: 'progress', text }),
        },
        signal: controller.signal,
        clock: { pause: () => void clock.push('pause'), resume: () => void clock.push('resume') },
        tell: (waits) => void clock.push(waits ? 'waits' : 'goes on'),
      },
    };
  }

  const says = ({ told }: Waiting, state: string): boolean =>
    told.some((event) => event.kind === 'state' && event.state === state);

  test('row 143: a word that came before its state is none, and the clock stands still meanwhile', async () => {
    const one = waiting();
    writeFileSync(one.context.folder.rehearse, '');
    writeFileSync(one.context.folder.go, '');
    const held = hold('built', one.context);
    await until('built to be told', () => says(one, 'built'));
    assert.ok(!existsSync(one.context.folder.rehearse), 'it was left by somebody else');
    assert.deepEqual(one.clock, ['pause', 'waits']);
    writeFileSync(one.context.folder.rehearse, '');
    await held;
    assert.deepEqual(one.clock, ['pause', 'waits', 'goes on', 'resume']);
    assert.ok(says(one, 'preparing'));
    const second = hold('rehearsed', one.context);
    await until('rehearsed to be told', () => says(one, 'rehearsed'));
    assert.ok(!existsSync(one.context.folder.go), 'go came while it was built');
    writeFileSync(one.context.folder.go, '');
    await second;
  });

  test('row 142: asked to look it asks the live version, and goes on asking once the database is changed', async () => {
    const asked: string[] = [];
    const one = waiting();
    one.context.live = {
      before: async () => void asked.push('before'),
      begin: () => void asked.push('begin'),
    };
    const held = hold('built', one.context);
    await until('built to be told', () => says(one, 'built'));
    assert.deepEqual(asked, []);
    for (const times of [1, 2]) {
      writeFileSync(one.context.folder.look, '');
      await until('the live version to be asked', () => asked.length === times);
    }
    assert.ok(!existsSync(one.context.folder.look));
    writeFileSync(one.context.folder.rehearse, '');
    await held;
    assert.deepEqual(asked, ['before', 'before', 'begin']);
  });

  test('a deploy that waits nowhere says nothing and goes on', async () => {
    const one = waiting({ cutover: 'at-once' });
    await hold('built', one.context);
    await hold('rehearsed', one.context);
    assert.deepEqual(one.told, []);
  });

  test('row 143: what is cancelled while it waits ends', async () => {
    for (const at of ['built', 'rehearsed'] as const) {
      const one = waiting();
      const held = assert.rejects(hold(at, one.context), Cancelled);
      await until('it to be told', () => says(one, at));
      one.cancel();
      await held;
    }
  });

  test('row 143: without the action a host drops its stage once its lease is over; alone and rehearsed it goes on', async () => {
    await assert.rejects(
      hold('built', waiting({ goLease: 1, goesAlone: true }).context),
      /Everything is built, but the action has not been heard of for 1 ms: nothing was changed on this server/,
    );
    await assert.rejects(hold('rehearsed', waiting({ goLease: 1 }).context), /Everything is rehearsed/);
    const alone = waiting({ goLease: 1, goesAlone: true });
    await hold('rehearsed', alone.context);
    assert.ok(
      alone.told.some((event) => event.kind === 'progress' && event.text.includes('goes on without it')),
    );
  });

  test('row 61: the lease does not count the clock of the host, which may be set meanwhile', () => {
    const heard = join(mkdtempSync(join(root, 'heard-')), 'heard');
    writeFileSync(heard, '');
    let now = 0;
    const unheardFor = actionWatch({ heard }, () => now);
    utimesSync(heard, 1, 1);
    assert.equal(unheardFor(), 0, 'the mark is of 1970');
    now = 5_000;
    assert.equal(unheardFor(), 5_000);
    utimesSync(heard, 4_000_000_000, 4_000_000_000);
    assert.equal(unheardFor(), 0, 'heard again, by a clock that was set');
    now = 7_500;
    assert.equal(unheardFor(), 2_500);
    rmSync(heard);
    assert.equal(unheardFor(), 0);
    now = 9_000;
    assert.equal(unheardFor(), 1_500, 'a mark that is gone is no sign of the action');
  });
});
