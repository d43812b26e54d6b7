import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { annotationsOf } from '../../../src/github/annotations.js';
import type { Run } from '../../../src/inputs/settings.js';
import type { Facts, PhaseReport, Report, Step } from '../../../src/lib/report.js';
import { escapeText, inlineCode, markdownTable } from '../../../src/report/summary/markdown.js';
import { summaryOf } from '../../../src/report/summary/summary.js';
import { timeline } from '../../../src/report/summary/timeline.js';

const SHA = 'b'.repeat(40);
const run: Run = {
  id: '1001',
  attempt: 1,
  repository: 'octocat/hotel',
  serverUrl: 'https://github.com',
  sha: SHA,
  fork: false,
};

const places = { workspace: '/work', project: '.' };

const step = (name: string, milliseconds = 5, outcome: Step['outcome'] = 'passed'): Step => ({
  name,
  outcome,
  startedAt: 1_000,
  milliseconds,
});

const phase = (name: PhaseReport['phase'], steps: Step[], more: Partial<PhaseReport> = {}): PhaseReport => ({
  phase: name,
  outcome: 'passed',
  startedAt: 1_000,
  milliseconds: 20,
  steps,
  problems: [],
  facts: {},
  ...more,
});

const rolledBack: Report = {
  mode: 'deploy',
  environment: 'staging',
  outcome: 'rolled-back',
  phases: [
    phase('migrate', [step('20250102000000_rooms')], { summary: '1 applied.' }),
    phase('health', [step('/api/health', 9, 'failed')], { outcome: 'failed' }),
    phase('rollback', [step('code'), step('20250102000000_rooms')]),
  ],
  failedPhase: 'health',
  failedStep: '/api/health',
  problems: [{ message: '/api/health answered 500', code: '500', next: 'Look at the application log.' }],
  warnings: [
    {
      message: 'drops a column',
      at: { file: 'supabase/migrations/x y.sql', line: 3, column: 1, text: 'drop <b>column</b>' },
    },
  ],
  facts: {
    pending: ['20250102000000'],
    applied: ['20250102000000'],
    reverted: ['20250102000000'],
    previousSha: 'a'.repeat(40),
    deployedSha: 'a'.repeat(40),
    rollbackMs: 1_250,
    hosts: [{ host: 1, outcome: 'rolled-back', 'previous-sha': 'a'.repeat(40), 'downtime-ms': 0 }],
    health: [
      {
        name: '/api/health',
        from: 'runner',
        ok: false,
        status: 500,
        'latency-ms': 12,
        attempts: 3,
        detail: 'Internal | Error',
      },
    ],
    tables: [
      {
        schema: 'public',
        name: 'rooms',
        rows: 3,
        exact: false,
        bytes: 8_192,
        rls: true,
        forced: false,
        policies: 1,
      },
    ],
    verified: true,
  },
  next: 'Look at the application log.',
  startedAt: 0,
  milliseconds: 4_200,
};

describe('summaryOf', () => {
  const markdown = summaryOf(rolledBack, { run, places });

  test('begins with the outcome, the cause and the next action', () => {
    const lines = markdown.split('\n').filter((line) => line !== '');
    assert.equal(lines[0], '## ↩️ deploy to staging failed and was rolled back');
    const [cause, next, phases] = ['answered 500', '**Next:** Look at', '| phase | outcome'].map((text) =>
      lines.findIndex((line) => line.includes(text)),
    );
    assert.ok(cause! > 0 && cause! < next! && next! < phases!, markdown);
  });

  test('shows phases, timeline, migrations, hosts with linked commits, health, tables and what was rolled back', () => {
    for (const expected of [
      '| migrate | ✅ passed | 20 ms | 1 applied. |',
      'section health',
      '| <code>20250102000000&#95;rooms</code> | taken back | 5 ms |\n',
      `https://github.com/octocat/hotel/commit/${'a'.repeat(40)}`,
      '| 1 | rolled-back |',
      'Internal &#124; Error',
      '- Code put back in 1.3 s.',
      '| <code>rooms</code> | ~3 | 8,192 | on | 1 |',
    ])
      assert.ok(markdown.includes(expected), `${expected}\n${markdown}`);
  });

  test('links a problem to its line, and shows the line as text', () => {
    assert.ok(markdown.includes(`/octocat/hotel/blob/${SHA}/supabase/migrations/x%20y.sql#L3`), markdown);
    assert.ok(markdown.includes('3 | drop &#60;b&#62;column&#60;/b&#62;'), markdown);
  });

  test('a file of a project in a subfolder is linked from the top of the checkout, one outside of it is not', () => {
    const at = (file: string): Report => ({
      ...rolledBack,
      warnings: [{ message: 'careful', at: { file, line: 3, column: 1 } }],
    });
    const web = { run, places: { workspace: '/work', project: './apps/web/' } };
    const inside = `/octocat/hotel/blob/${SHA}/apps/web/supabase/migrations/a.sql#L3`;
    assert.ok(summaryOf(at('supabase/migrations/a.sql'), web).includes(inside));
    assert.ok(summaryOf(at('/work/apps/web/supabase/migrations/a.sql'), web).includes(inside));
    for (const file of ['../../../a.sql', '/elsewhere/a.sql'])
      assert.doesNotMatch(summaryOf(at(file), web), /\/blob\//);
  });

  test('commands that a person runs by hand can be copied as they are', () => {
    const commands = 'git -C /srv/my_app reset --hard abc\nssh a@b "ls *"';
    const problems = [{ message: 'Not put back. By hand:', next: commands }];
    const told = summaryOf({ ...rolledBack, next: commands, problems }, { run, places });
    assert.ok(told.includes(`**Next:**\n<pre>${commands}</pre>`), told);
    const other = summaryOf({ ...rolledBack, problems }, { run, places });
    assert.ok(
      other.includes(`- Not put back. By hand:\n  <pre>${commands.replace('\n', '\n  ')}</pre>`),
      other,
    );
  });

  describe('what became of the rollback', () => {
    const section = (last: Partial<PhaseReport>, facts: Facts): string => {
      const { facts: _, ...report } = rolledBack;
      const phases = [...rolledBack.phases.slice(0, 2), phase('rollback', [step('code')], last)];
      const told = summaryOf({ ...report, phases, facts }, { run, places });
      return /### Rollback\n\n([^#]*)\n\n/.exec(told)?.[1] ?? '';
    };
    const applied = ['20250101000000', '20250102000000'];
    const cases: [title: string, last: Partial<PhaseReport>, facts: Facts, told: string[]][] = [
      [
        'nothing, where it passed and had nothing to do',
        { facts: { rolledBack: false } },
        {},
        ['- Nothing had to be put back.'],
      ],
      [
        'it failed: what is still applied and served',
        { outcome: 'failed', facts: { rolledBack: false } },
        {
          applied,
          reverted: [applied[1]!],
          schemaAhead: [applied[0]!],
          hosts: [{ host: 1, outcome: 'deployed' }],
        },
        [
          '- **The rollback failed: not everything was put back.**',
          `- Still applied: <code>${applied[0]}</code>`,
          '- Code not put back: host 1',
          `- Migrations taken back: <code>${applied[1]}</code>`,
        ],
      ],
      [
        'it is not known',
        { outcome: 'unknown', facts: {} },
        { applied, hosts: [{ host: 1, outcome: 'rolled-back' }], rollbackMs: 1_000 },
        [
          '- **It is not known whether everything was put back.**',
          `- Perhaps still applied: ${applied.map((version) => `<code>${version}</code>`).join(', ')}`,
          '- Code put back in 1.0 s.',
        ],
      ],
    ];
    for (const [title, last, facts, told] of cases)
      test(title, () => assert.equal(section(last, facts), told.join('\n')));
  });

  test('row 145: whatever field holds it, HTML, tables and mentions of a server are shown as text', () => {
    const hostile = '<img src=x> | @octocat #1 ![a](//x) </pre>';
    const filled = <T>(value: T): T => {
      if (typeof value === 'string' || typeof value === 'number') return hostile as T;
      if (Array.isArray(value)) return value.map(filled) as T;
      if (typeof value !== 'object' || value === null) return value;
      return Object.fromEntries(Object.entries(value).map(([name, item]) => [name, filled(item)])) as T;
    };
    const { phases, facts, problems, warnings } = rolledBack;
    const plain = { ...step('x'), detail: 'x' };
    const told = summaryOf(
      {
        ...rolledBack,
        environment: hostile,
        phases: phases.map((each) => ({ ...each, summary: hostile, steps: [filled(plain), plain] })),
        facts: filled(facts),
        problems: filled(problems),
        warnings: filled(warnings),
        planned: [hostile],
        next: hostile,
      },
      { run, places },
    );
    assert.ok(told.split('octocat').length > 20, told);
    assert.doesNotMatch(told, /<img|src=x>/);
    // In a preformatted block and in an address GitHub links nothing.
    const text = told.replace(/<pre>.*?<\/pre>|href="[^"]*"|^```mermaid.*?^```/gms, '');
    assert.doesNotMatch(text, /[^>]@octocat|!\[a]\(|&#62; \|[^ \n]/);
    assert.equal(told.split('<pre>').length, told.split('</pre>').length);
  });

  test('a phase that was cancelled has not failed', () => {
    const phases = [phase('health', [step('/', 0, 'skipped')], { outcome: 'failed', cancelled: true })];
    const told = summaryOf(
      {
        ...rolledBack,
        outcome: 'cancelled',
        problems: [],
        phases: [...phases, phase('rollback', [], { outcome: 'skipped' })],
      },
      { run, places },
    );
    assert.ok(told.includes('| health | ⏹️ cancelled | 20 ms |'), told);
    assert.doesNotMatch(told, /What went wrong|failed/);
  });

  test('row 124: a plan too long for a comment is cut between its files, and what was opened is closed', () => {
    const planned = Array.from({ length: 500 }, (_, index) => `pending   ${index}_a_file_of_the_plan`);
    for (const mode of ['plan', 'deploy']) {
      const long = summaryOf({ ...rolledBack, mode, planned, milliseconds: 1 }, { run, places }, 9_000);
      const shown = long.split('\n').filter((line) => line.includes('_a_file_of_the_plan')).length;
      assert.ok(shown > 50 && shown < 500, `${mode}: ${shown}`);
      assert.ok(Buffer.byteLength(long) <= 9_000);
      const rest = Number(/\n\n(\d+) more lines are in the report file\.\n$/.exec(long)?.[1]);
      const whole = summaryOf({ ...rolledBack, mode, planned, milliseconds: 1 }, { run, places });
      const closed = mode === 'plan' ? 1 : 2;
      // The note and the empty line before it, and the line at the very end.
      assert.equal(long.split('\n').length - closed - 3 + rest, whole.split('\n').length - 1, mode);
      for (const tag of ['pre', 'details'])
        assert.equal(long.split(`<${tag}>`).length, long.split(`</${tag}>`).length, `${mode}: ${tag}`);
    }
  });

  test('row 124: wherever it is cut, what was opened is closed, and it is short enough', () => {
    const planned = ['pending   1_a', 'pending   2_b'];
    const report = { ...rolledBack, planned, next: 'one\ntwo' };
    const whole = Buffer.byteLength(summaryOf(report, { run, places }));
    const marks: [open: RegExp, close: RegExp][] = [
      [/<pre>/g, /<\/pre>/g],
      [/<details>/g, /<\/details>/g],
      [/^```mermaid$/gm, /^```$/gm],
    ];
    for (let limit = 400; limit < whole; limit += 10) {
      const short = summaryOf(report, { run, places }, limit);
      assert.ok(Buffer.byteLength(short) <= limit, String(limit));
      for (const [open, close] of marks)
        assert.equal(short.match(open)?.length, short.match(close)?.length, short);
    }
  });

  test('row 124: stays under 1 MiB and tells how much is missing', () => {
    const steps = Array.from({ length: 150 }, (_, index) => ({
      ...step(`step ${index}`),
      detail: '|'.repeat(3_000),
    }));
    const huge = summaryOf(
      { ...rolledBack, phases: Array.from({ length: 20 }, () => phase('migrate', steps)) },
      { run, places },
    );
    assert.ok(Buffer.byteLength(huge) <= 1_000_000, String(Buffer.byteLength(huge)));
    assert.match(huge, /\n\d+ more lines are in the report file\.\n$/);
    assert.match(
      markdownTable(
        ['a'],
        Array.from({ length: 500 }, () => ['x']),
      ).join('\n'),
      /300 more rows are in the report file/,
    );
  });
});

/** The text that a browser shows for our Markdown. */
function asRead(markdown: string): string {
  return markdown
    .replaceAll('<br>', '\n')
    .replace(/<[^>]*>/g, '')
    .replace(/&#(\d+);/g, (_, point: string) => String.fromCodePoint(Number(point)));
}

describe('escaping', () => {
  test('untrusted text cannot become structure, a mention or a reference', () => {
    const hostile =
      '</td><img src=x onerror=alert(1)> | **b** `c` [x](javascript:y) @octocat #12 ::error::x\n# head';
    for (const shown of [escapeText(hostile), inlineCode(hostile)]) {
      const plain = shown
        .replaceAll('<br>', '')
        .replace(/^<code>|<\/code>$/g, '')
        .replace(/<span>(@|&#35;)<\/span>/g, '');
      assert.doesNotMatch(plain.replace(/&#\d+;/g, ''), /[<>|*`[\]#]/, shown);
      assert.doesNotMatch(shown, /@octocat|&#35;12/);
    }
  });

  test('what is copied from the page is the text itself', () => {
    const texts = [
      'ssh deploy@host "git -C /srv/my_app reset --hard"',
      'git@github.com:o/my_app.git #12 @octocat ssh://git@host/a_b www.example.com/a_b postgresql://h/x_y',
      'see https://github.com/o/r_s/actions/runs/123#step:2:3?a=1&b=$x, or http://h/(a_b).',
    ];
    for (const text of texts)
      for (const shown of [escapeText(text), inlineCode(text)]) assert.equal(asRead(shown), text);
  });

  const addresses: [text: string, href: string][] = [
    ['(https://github.com/o/r/actions/runs/123)', 'https://github.com/o/r/actions/runs/123'],
    ['in https://github.com/o/my_app.git.', 'https://github.com/o/my_app.git'],
    ['[https://h/a_(b)]', 'https://h/a_(b)'],
    ['https://h/a?b=1&c=2: no', 'https://h/a?b=1&#38;c=2'],
    ['"https://h/x"', 'https://h/x'],
  ];
  for (const [text, href] of addresses)
    test(`the address in ${text} is a link to all of it, and to no more`, () => {
      const shown = escapeText(text);
      assert.deepEqual(
        [...shown.matchAll(/href="([^"]*)"/g)].map((match) => match[1]),
        [href],
      );
      assert.equal(asRead(shown), text);
    });

  test('GitHub finds no address of its own in the source: it would read references as a part of it', () => {
    const text = 'https://h/a_b ftp://h/a_b www.h.example/a_b a@h.example mailto:a@h.example ssh://git@h/x_y';
    for (const shown of [escapeText(text), inlineCode(text)])
      assert.doesNotMatch(shown.replace(/href="[^"]*"/g, ''), /:\/\/|\bwww\.|\w@\w/, shown);
  });

  test('a hostile step name cannot break the timeline', () => {
    const lines = timeline({
      ...rolledBack,
      phases: [phase('migrate', [step('a:b;c#d\n```\nclick x', 50), step('section y', 50), step('😀', 50)])],
    });
    assert.equal(lines.filter((line) => line.startsWith('```')).length, 2);
    assert.deepEqual(lines.slice(4, -1), [
      '    section migrate',
      '    a b c d click x :done, 1000, 1050',
      '    - section y :done, 1000, 1050',
      '    step :done, 1000, 1050',
    ]);
  });

  test('the timeline leaves out hair-thin bars, but not the one that failed', () => {
    const steps = [
      step('long', 900),
      step('thin', 1),
      step('broken', 1, 'failed'),
      step('later', 0, 'skipped'),
    ];
    const bars = timeline({ ...rolledBack, milliseconds: 1_000, phases: [phase('verify', steps)] }).filter(
      (line) => line.includes(' :'),
    );
    assert.deepEqual(bars, ['    long :done, 1000, 1900', '    broken :crit, 1000, 1001']);
  });
});

describe('annotationsOf', () => {
  test('the end of the run first, then errors, then warnings with a place', () => {
    const found = annotationsOf(
      { ...rolledBack, warnings: [{ message: 'a remark' }, ...rolledBack.warnings] },
      places,
    );
    assert.deepEqual(
      found.map(({ level, message }) => [level, message]),
      [
        [
          'failed',
          'Deploy to staging failed and was rolled back: /api/health answered 500\nLook at the application log.',
        ],
        ['warning', 'drops a column'],
        ['warning', 'a remark'],
      ],
    );
    assert.deepEqual(found[1]!.properties, {
      file: 'supabase/migrations/x y.sql',
      startLine: 3,
      startColumn: 1,
    });
  });

  test('a rollback that failed has the last word on what to do, and the cause keeps its own', () => {
    const problems = [
      { message: 'the rehearsal failed', next: 'Nothing was touched.' },
      { message: 'no such table', next: 'By hand: delete from history;' },
    ];
    const stuck = { ...rolledBack, outcome: 'rollback-failed' as const, problems, warnings: [] };
    assert.deepEqual(
      annotationsOf({ ...stuck, next: problems[1]!.next }, places).map(({ message }) => message),
      [
        'Deploy to staging failed, and so did the rollback: the rehearsal failed\nBy hand: delete from history;',
        'the rehearsal failed\nNothing was touched.',
        'no such table\nBy hand: delete from history;',
      ],
    );
  });

  test('an SQL error keeps its place even when it is the cause', () => {
    const at = { file: '/work/supabase/migrations/a.sql', line: 7, column: 13 };
    const [failed, error] = annotationsOf(
      { ...rolledBack, problems: [{ message: 'no table', code: '42P01', at }] },
      places,
    );
    assert.equal(failed?.level, 'failed');
    assert.equal(error?.message, 'no table (42P01)');
    assert.equal(error?.properties.file, 'supabase/migrations/a.sql');
  });

  test('a file of a project in a subfolder is named from the top of the checkout', () => {
    const at = { file: 'supabase/migrations/a.sql', line: 1, column: 1 };
    const problems = [{ message: 'wrong', at }];
    for (const project of ['apps/web', './apps/web/', '/work/apps/web']) {
      const found = annotationsOf({ ...rolledBack, problems }, { workspace: '/work', project });
      assert.equal(found[1]?.properties.file, 'apps/web/supabase/migrations/a.sql', project);
    }
  });

  test('row 124: ten at most, and the last one counts the others', () => {
    const problems = Array.from({ length: 30 }, (_, index) => ({ message: `problem ${index}` }));
    const found = annotationsOf({ ...rolledBack, problems, warnings: problems }, places);
    assert.equal(found.length, 10);
    assert.deepEqual(found[9], {
      level: 'notice',
      message: '21 more are in the log and in the report file.',
      properties: {},
    });
  });

  test('after success there are only the warnings', () => {
    assert.deepEqual(
      annotationsOf({ ...rolledBack, outcome: 'success', problems: [], warnings: [] }, places),
      [],
    );
  });
});
