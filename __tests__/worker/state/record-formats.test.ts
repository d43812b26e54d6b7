import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, test } from 'node:test';
import { formatProblem, judgeFormat } from '../../../src/lib/record-format.js';
import { problemsOf } from '../../../src/lib/report.js';
import { readMark, readRecord, recordText, writeRecord } from '../../../src/worker/host/records.js';
import { readJournal, writeJournal } from '../../../src/worker/state/journal.js';
import { type Plan, readPlan, writePlan } from '../../../src/worker/state/plan.js';
import { refuseOtherFormats } from '../../../src/worker/state/record-formats.js';
import { type ReleaseNote, readNote, writeNote } from '../../../src/worker/state/releases.js';
import { openStateFolder, readState, writeState } from '../../../src/worker/state/state-folder.js';

describe('the format of what was written', () => {
  const verdicts: [what: string, written: unknown, oldest: number, newest: number, wanted: string][] = [
    ['its own', 1, 1, 1, 'read'],
    ['a newer version, an older record that it still reads', 1, 1, 2, 'read'],
    ['a newer version, a record that is too old for it', 1, 2, 3, 'older'],
    ['an older version, a newer record', 2, 1, 1, 'newer'],
    ['no format', undefined, 1, 1, 'unmarked'],
    ['a format that is none', '1', 1, 1, 'unmarked'],
    ['a format below all', 0, 1, 1, 'unmarked'],
    ['half a format', 1.5, 1, 2, 'unmarked'],
    ['no number at all', Number.NaN, 1, 1, 'unmarked'],
  ];
  for (const [what, written, oldest, newest, wanted] of verdicts)
    test(`row 140: ${what}: ${wanted}`, () => {
      assert.equal(judgeFormat(written, { oldest, newest }), wanted);
      const problem = formatProblem('x', written, { oldest, newest }, 'Begin anew.');
      assert.equal(problem === undefined, wanted === 'read');
      if (problem) assert.match(problem.message, /^x .*Nothing was changed\.$/);
    });
});

describe('the files of a state folder', () => {
  const root = mkdtempSync(join(tmpdir(), 'muva-formats-'));
  after(() => rmSync(root, { recursive: true }));
  mkdirSync(join(root, 'www/app'), { recursive: true });
  const state = openStateFolder(join(root, 'www/app'), root);
  const run = { id: '7', attempt: 1 };
  const plan: Plan = { task: 'deploy', run, to: { release: 'r', sha: 'a' }, swaps: [] };
  const note: ReleaseNote = { sha: 'a', paths: [], stamps: {}, rebuilt: [], envFiles: [], carriedChunks: [] };
  const [first, second] = ['20260102030405-0123456789ab', '20260102030406-0123456789ab'];
  const write = (): void => {
    rmSync(state.journal, { force: true });
    writeState(state, { environment: 'production' });
    writePlan(state, plan);
    writeNote(state, first!, note);
    writeNote(state, second!, note);
    for (const event of ['adopted', 'verified'] as const)
      writeJournal(state, run, { event, release: 'r', sha: 'a' });
  };
  const files = [
    state.state,
    state.plan,
    ...[first, second].map((name) => join(state.notes, `${name}.json`)),
  ];
  const refusals = (): string[] => {
    try {
      refuseOtherFormats(state);
      return [];
    } catch (error) {
      return problemsOf(error).map(({ message, next }) => `${message} ${next}`);
    }
  };

  test('row 140: each says its format, and what is read does not hold it', () => {
    write();
    for (const file of files) assert.equal(JSON.parse(readFileSync(file, 'utf8')).format, 1, file);
    for (const line of readFileSync(state.journal, 'utf8').trim().split('\n'))
      assert.equal(JSON.parse(line).format, 1, line);
    assert.deepEqual(readState(state), { environment: 'production' });
    assert.deepEqual(readPlan(state), plan);
    assert.deepEqual(readNote(state, first!), note);
    assert.deepEqual(
      readJournal(state).map(({ event }) => event),
      ['adopted', 'verified'],
    );
    assert.deepEqual(refusals(), []);
  });

  test('row 140: all that another version wrote is named at once, and nothing is written', () => {
    write();
    for (const file of files) {
      const record = JSON.parse(readFileSync(file, 'utf8'));
      writeFileSync(file, JSON.stringify({ ...record, format: 2 }));
    }
    writeFileSync(state.journal, `${recordText({ event: 'adopted' })}\n{"format":2,"event":"paused"}\n`);
    const before = readdirSync(state.path, { recursive: true }).map(String).sort();
    const said = refusals();
    assert.equal(said.length, files.length + 1);
    for (const file of files)
      assert.ok(
        said.some((text) => text.startsWith(`${file} was written by a newer version`)),
        file,
      );
    assert.match(said.join('\n'), /Line 2 of \S+journal\.jsonl was written by a newer version.*"uses:"/);
    assert.deepEqual(readdirSync(state.path, { recursive: true }).map(String).sort(), before);
  });

  for (const [what, text] of [
    ['without a format', '{"task":"deploy"}'],
    ['that is no object', '7'],
    ['that is nothing', 'null'],
    ['that is torn', '{"format":1,"ta'],
  ] as const)
    test(`row 140: a record ${what} is refused, with the way on, and does not crash`, () => {
      write();
      writeFileSync(state.plan, text);
      const [said, ...more] = refusals();
      assert.deepEqual(more, []);
      assert.match(said!, /plan\.json (does not say in which format|is torn).*move it away: mv /);
    });

  test('row 140: a torn line of the journal did not finish, and is passed over', () => {
    write();
    writeFileSync(state.journal, `${recordText({ event: 'adopted' }).slice(0, 20)}\n`, { flag: 'a' });
    assert.equal(readJournal(state).length, 2);
    assert.deepEqual(refusals(), []);
  });

  test('row 140: a mark of another version tells nothing', () => {
    const mark = join(root, 'mark.json');
    writeRecord(mark, { pid: 1 });
    assert.deepEqual(readMark(mark), { pid: 1 });
    writeFileSync(mark, '{"format":2,"process":1}');
    assert.equal(readMark(mark), undefined);
    assert.throws(() => readRecord(mark), /newer version/);
    assert.equal(readMark(join(root, 'none.json')), undefined);
  });
});
