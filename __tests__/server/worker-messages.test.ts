import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { parseWorkerEvent, parseWorkerLine } from '../../src/server/worker-messages.js';
import { type HostFacts, LINE_MARK, type WorkerEvent, type WorkerLine } from '../../src/worker/protocol.js';

const problem = {
  message: 'no room',
  code: '28',
  at: { file: 'a.sql', line: 1, column: 2, text: 'x' },
  next: 'df -h',
};
const check = {
  name: '/',
  from: 'vps' as const,
  ok: false,
  status: null,
  'latency-ms': 12.5,
  attempts: 3,
  detail: 'x',
  timings: { dns: null, connect: 1, tls: null, 'first-byte': 2, total: 3 },
  fault: 'status' as const,
  next: 'y',
  'days-left': -3,
};
const facts: HostFacts = {
  node: 'v20',
  git: '2',
  pm2: '6',
  layout: 'checkout',
  strategy: 'in-place',
  stateFolder: '/s',
  environment: 'staging',
  liveSha: 'a'.repeat(40),
  liveRelease: 'r',
  liveRun: '1',
  liveVerified: true,
  newerIsLive: true,
  wayBack: { kind: 'go', to: { sha: 'b', release: 'r' }, forward: false, runs: ['1'] },
  shaOnRemote: true,
  dirtyFiles: ['a'],
  freeBytes: 9.2e18,
  freeInodes: 1,
  memoryBytes: 1,
  port: 3000,
  entry: { mode: 'cluster', instances: 2, status: 'online', script: 'server.js' },
  lock: { holder: { runId: '1', url: 'u', since: 1, pid: 2 } },
  notRehearsedWhy: 'w',
  refusals: [problem],
  deployRefusals: [problem],
  warnings: [problem],
};

const lines: WorkerLine[] = [
  { kind: 'host', facts },
  { kind: 'host', facts: { ...facts, wayBack: { kind: 'nothing', why: 'w', runs: [], overtakenBy: '2' } } },
  { kind: 'host', facts: { ...facts, wayBack: { kind: 'refused', problem } } },
  { kind: 'started', pid: 7 },
  { kind: 'probed', health: [check], healthy: false },
  { kind: 'event', offset: 12, line: 'anything' },
  { kind: 'heartbeat' },
  { kind: 'gone', problem },
  { kind: 'cut-off' },
  { kind: 'signalled', accepted: true, detail: 'stops' },
  { kind: 'refused', problems: [problem] },
];

const events: WorkerEvent[] = [
  { kind: 'started', pid: 7, at: 1 },
  { kind: 'progress', text: 'x' },
  { kind: 'step', step: { name: 'build', outcome: 'passed', startedAt: 1, milliseconds: 2, detail: 'd' } },
  { kind: 'output', source: 'build', text: 'x' },
  { kind: 'warning', problem },
  { kind: 'state', state: 'rehearsed' },
  {
    kind: 'ended',
    result: {
      outcome: 'deployed',
      previousSha: 'a',
      deployedSha: 'b',
      release: 'r',
      downtimeMs: 0,
      rollbackMs: 1,
      rehearsed: true,
      health: [check],
      problems: [problem],
      warnings: [],
    },
  },
];

const read = (line: unknown): ReturnType<typeof parseWorkerLine> =>
  parseWorkerLine(LINE_MARK + JSON.stringify(line));
const readEvent = (event: unknown): ReturnType<typeof parseWorkerEvent> =>
  parseWorkerEvent(JSON.stringify(event));

/** Every place in a value, as a path. */
function placesIn(value: unknown, path: string[] = []): string[][] {
  if (typeof value !== 'object' || value === null) return [path];
  return [path, ...Object.entries(value).flatMap(([name, item]) => placesIn(item, [...path, name]))];
}

function changed(value: unknown, [name, ...rest]: string[], to: unknown): unknown {
  if (name === undefined) return to;
  const copy = structuredClone(value) as Record<string, unknown>;
  copy[name] = changed(copy[name], rest, to);
  return copy;
}

describe('messages of the worker', () => {
  test('every kind is read as it was said', () => {
    for (const line of lines) assert.deepEqual(read(line), { value: line });
    for (const event of events) assert.deepEqual(readEvent(event), { value: event });
    assert.equal(parseWorkerLine('{"kind":"heartbeat"}'), undefined);
  });

  test('row 145: a value of another type is refused wherever it stands, and the place is named', () => {
    const all: [unknown, (value: unknown) => object | undefined][] = [
      ...lines.map((line) => [line, read] as [unknown, typeof read]),
      ...events.map((event) => [event, readEvent] as [unknown, typeof readEvent]),
    ];
    for (const [value, reader] of all)
      for (const path of placesIn(value))
        for (const wrong of [{ '##[set-output': 1 }, [[]], 'no such word \u0000', -1e300, true]) {
          const other = changed(value, path, wrong);
          const parsed = reader(other) as { value?: unknown; wrong?: string };
          // What is of the right type by chance is kept as it is.
          if (parsed.wrong === undefined) assert.ok(ofSameTypes(parsed.value, value), path.join('.'));
          else assert.match(parsed.wrong, /is not /, path.join('.'));
        }
  });

  test('row 145: unknown kinds, and names that every object has, are refused', () => {
    for (const kind of ['eval', 'constructor', '__proto__', 'toString', '', 7, null])
      for (const reader of [read, readEvent]) assert.ok('wrong' in reader({ kind })!, String(kind));
    for (const text of ['', '{', 'null', '[]', '7', '"ended"', '{"kind":"ended"}'])
      assert.ok('wrong' in parseWorkerEvent(text), text);
  });

  test('row 145: what a type does not have is left out, and lists and texts are bounded', () => {
    const more = JSON.parse('{"kind":"progress","text":"x","__proto__":{"a":1},"outcome":"success"}');
    assert.deepEqual(readEvent(more), { value: { kind: 'progress', text: 'x' } });
    const long = readEvent({ kind: 'progress', text: 'x'.repeat(1_000_000) });
    assert.ok('value' in long && long.value.kind === 'progress' && long.value.text.length < 100_000);
    const many = read({ kind: 'refused', problems: Array.from({ length: 5_000 }, () => problem) });
    assert.ok(
      many && 'value' in many && many.value.kind === 'refused' && many.value.problems.length <= 1_000,
    );
  });

  test('row 145: no time of a step is one that no date can hold', () => {
    const { step } = events.find((event) => event.kind === 'step')!;
    for (const milliseconds of [1e300, -1, Number.NaN, '5'])
      assert.ok('wrong' in readEvent({ kind: 'step', step: { ...step, milliseconds } }));
  });

  test('row 145: no text at all makes a reader throw', () => {
    fc.assert(
      fc.property(fc.oneof(fc.json(), fc.string()), (text) => {
        parseWorkerEvent(text);
        parseWorkerLine(LINE_MARK + text);
      }),
      { numRuns: 2_000 },
    );
  });
});

/** Whether all that a value holds is of the type that it has in the other. */
function ofSameTypes(value: unknown, other: unknown): boolean {
  if (value === null || other === null || typeof value !== 'object' || typeof other !== 'object')
    return typeof value === typeof other && (value === null) === (other === null);
  return Object.entries(value).every(([name, item]) =>
    ofSameTypes(item, (other as Record<string, unknown>)[name]),
  );
}
