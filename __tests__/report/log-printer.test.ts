import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import type { LogEntry } from '../../src/lib/log.js';
import { redactor } from '../../src/lib/redact.js';
import type { PhaseReport, Step } from '../../src/lib/report.js';
import { type LogPrinter, logPrinter } from '../../src/report/log-printer.js';
import { COMMANDS, parseCommand } from '../servers/runner-commands.js';

const SECRET = 'w0rd-of-the-hotel';

/** All that a sink was given. */
function heard(work: (log: LogPrinter['log']) => void): string[] {
  const lines: string[] = [];
  const { log, end } = logPrinter(
    {
      line: (text) => lines.push(text),
      debug: (text) => lines.push(text),
      openOutput: (source) => lines.push(`> ${source}`),
      outputLine: (text) => lines.push(`| ${text}`),
      closeOutput: () => lines.push('<'),
    },
    redactor([SECRET]),
  );
  work(log);
  end();
  return lines;
}

/** The same for chunks of a program's output. */
function told(chunks: readonly string[], between: () => void = () => {}): string[] {
  return heard((log) => {
    for (const text of chunks) {
      log({ kind: 'output', source: 'build', text });
      between();
    }
  });
}

describe('teller', () => {
  test('joins chunks into lines and closes the group', () => {
    assert.deepEqual(told(['a', 'b\nc', '\n', 'last']), ['> build', '| ab', '| c', '| last', '<']);
  });

  test('another source or an entry of our own closes the group', () => {
    const lines = heard((log) => {
      log({ kind: 'output', source: 'host 1', text: 'one' });
      log({ kind: 'output', source: 'host 2', text: 'two\n' });
      log({ kind: 'line', text: 'ours' });
    });
    assert.deepEqual(lines, ['> host 1', '| one', '<', '> host 2', '| two', '<', 'ours']);
  });

  test('rows 129 and 133: no cut into chunks, colours or control characters lets a secret through', () => {
    const noise = fc.constantFrom('', '\x1b[31m', '\0', '\x1b[0m', '\x07');
    const secret = fc
      .tuple(fc.integer({ min: 0, max: SECRET.length }), noise)
      .map(([at, between]) => SECRET.slice(0, at) + between + SECRET.slice(at));
    const text = fc
      .array(fc.oneof(secret, fc.constantFrom('\n', ' ', 'x', '\r', ':', '::', '##[')), { maxLength: 8 })
      .map((parts) => parts.join(''));
    fc.assert(
      fc.property(text, fc.integer({ min: 1, max: 9 }), (whole, size) => {
        const chunks = whole.match(new RegExp(`[^]{1,${size}}`, 'g')) ?? [];
        assert.doesNotMatch(told(chunks).join('\n'), /w0rd-of-the-hotel/);
      }),
      { numRuns: 1_000 },
    );
  });

  test('row 90: a line without an end is not kept in memory, and a secret at the cut stays hidden', () => {
    const lines = told([`${'x'.repeat(127_995)}${SECRET.slice(0, 9)}`, `${SECRET.slice(9)} y\n`, 'next\n']);
    assert.ok(lines.length >= 4, String(lines.length));
    assert.doesNotMatch(lines.join(''), /w0rd/);
    assert.match(lines[1]!, / \.\.\. \d+ more characters$/);
    assert.equal(lines.at(-2), '| next');
  });

  test('row 150: a secret whose parts come around an entry of our own, or around another stream, is not shown', () => {
    const lines = heard((log) => {
      const say = (source: string, text: string): void => log({ kind: 'output', source, text });
      say('host 1', `a ${SECRET.slice(0, 5)}`);
      log({ kind: 'progress', text: 'still here' });
      say('host 1', `${SECRET.slice(5, 9)}\n`);
      say('host 2', `b ${SECRET.slice(0, 9)}\n`);
      say('host 1', `${SECRET.slice(9)} c\n`);
      say('host 2', `${SECRET.slice(9)}\n`);
    });
    assert.deepEqual(lines, [
      ...['> host 1', '| a ', '<', '  ...     still here'],
      ...['> host 1', '| *** c', '<', '> host 2', '| b ***', '<'],
    ]);
  });

  const hostile = [
    '##[set-output name=a]1',
    'x\n::save-state name=final::yes',
    '\r::set-output name=b::2',
    `${SECRET.slice(0, 6)}\x1b[38:5:1m${SECRET.slice(6)}`,
    `${SECRET.slice(0, 6)}\n${SECRET.slice(6)}`,
    `${SECRET.slice(0, 6)}\r${SECRET.slice(6)}`,
  ];
  for (const text of hostile)
    test(`row 145: whatever field of an entry holds it, nobody obeys or sees ${JSON.stringify(text.slice(0, 12))}`, () => {
      const step = {
        name: text,
        outcome: text,
        startedAt: 0,
        milliseconds: 1,
        detail: text,
      } as unknown as Step;
      const problem = { message: text, code: text, next: text, at: { file: text, line: 1, column: 2, text } };
      const report = {
        phase: text,
        outcome: 'failed',
        startedAt: 0,
        milliseconds: 1,
        steps: [{ ...step, outcome: 'failed' }],
        problems: [problem],
        summary: text,
        facts: {},
      } as unknown as PhaseReport;
      const entries: LogEntry[] = [
        { kind: 'phase-started', phase: text as 'plan', detail: text, facts: {} },
        { kind: 'step', phase: 'plan', step },
        { kind: 'step', phase: 'plan', step: { ...step, outcome: 'skipped', detail: '' } },
        { kind: 'output', source: text, text: `${text}\n` },
        { kind: 'phase-ended', report },
        ...(['progress', 'line', 'debug'] as const).map((kind) => ({ kind, text })),
        ...(['notice', 'warning', 'problem'] as const).map((kind) => ({ kind, problem })),
      ];
      const known = new Set<string>(COMMANDS);
      for (const entry of entries) {
        const lines = heard((log) => log(entry)).flatMap((line) => line.split(/[\r\n]/));
        for (const line of lines)
          assert.equal(parseCommand(line.replace(/^[|>] /, ''), known), undefined, `${entry.kind}: ${line}`);
        assert.ok(!lines.join('').replace(/\s+/g, '').includes(SECRET), entry.kind);
        assert.doesNotMatch(lines.join('\n'), /-the-hotel/, entry.kind);
      }
    });
});
