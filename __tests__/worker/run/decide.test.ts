import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { Older } from '../../../src/worker/host/ancestry.js';
import { recordText } from '../../../src/worker/host/records.js';
import { chooseRollback, decideDeploy, hostRollbackTarget } from '../../../src/worker/run/decide.js';
import {
  type History,
  historyOf,
  type JournalEntry,
  parseJournal,
  runsLive,
} from '../../../src/worker/state/journal.js';
import { previousVerified, prunable } from '../../../src/worker/state/releases.js';

const sha = (letter: string): string => letter.repeat(40);
const ref = (name: string) => ({ release: `r${name}`, sha: sha(name) });

/** `a` adopted, `+b:7` deployed by run 7 over what was live, `+b:7:web` where PM2 restarted web, `-a` rolled back to, `!c` cut over and put back. */
function historyFrom(...words: string[]): History {
  const entries: JournalEntry[] = [];
  let live: string | undefined;
  for (const word of words) {
    const [what, run = '0', app = 'app'] = word.replace(/^[+!-]/, '').split(':') as [
      string,
      string?,
      string?,
    ];
    const base = { at: 0, run: { id: run, attempt: 1 }, app };
    const from = live === undefined ? {} : { from: ref(live) };
    if (word.startsWith('+')) {
      entries.push({ ...base, event: 'cutover', ...ref(what), ...from });
      entries.push({ ...base, event: 'verified', ...ref(what), ...from });
    } else if (word.startsWith('!')) {
      entries.push({ ...base, event: 'cutover', ...ref(what), ...from });
      entries.push({ ...base, event: 'put-back', ...ref(live!), from: ref(what) });
      continue;
    } else if (word.startsWith('-')) entries.push({ ...base, event: 'rolled-back', ...ref(what), ...from });
    else entries.push({ ...base, event: 'adopted', ...ref(what) });
    live = what;
  }
  return historyOf(entries);
}

const all = (_release: string): boolean => true;

describe('historyOf', () => {
  test('reads what is live, verified and bad', () => {
    const history = historyFrom('a', '+b:1', '!c:2', '+d:3', '-b:4');
    assert.deepEqual(history.live, ref('b'));
    assert.equal(history.liveVerified, true);
    assert.deepEqual(
      history.verified.map(({ release }) => release),
      ['ra', 'rb', 'rd'],
    );
    assert.deepEqual([...history.badShas], [sha('d')]);
  });

  test('a release that only began to cut over is live but not verified', () => {
    const history = historyOf([{ event: 'cutover', at: 0, run: { id: '1', attempt: 1 }, ...ref('a') }]);
    assert.deepEqual([history.live, history.liveVerified], [ref('a'), false]);
  });

  test('row 175: a version that was brought back and did not prove itself is known as such, until another event', () => {
    const at = { at: 0, run: { id: '1', attempt: 1 } };
    const broken: JournalEntry[] = [
      { ...at, event: 'adopted', ...ref('a') },
      { ...at, event: 'cutover', ...ref('b'), from: ref('a') },
      { ...at, event: 'broken', ...ref('a') },
    ];
    assert.equal(historyOf(broken).broken, true);
    assert.equal(historyOf([...broken, { ...at, event: 'pruned', ...ref('c') }]).broken, true);
    assert.equal(historyOf([...broken, { ...at, event: 'repaired', ...ref('a') }]).broken, false);
    assert.equal(historyOf([...broken, { ...at, event: 'cutover', ...ref('c') }]).broken, false);
  });

  test('a bad commit that is deployed and verified again is good again', () => {
    assert.equal(historyFrom('a', '+b', '-a', '+b').badShas.size, 0);
  });

  test('says which applications of one checkout run what is live', () => {
    const run = (...words: string[]): string =>
      ['web', 'api'].filter((name) => runsLive(historyFrom(...words), name)).join(' ');
    assert.equal(run('a:0:web', '+b:1:web'), 'web');
    assert.equal(run('a:0:web', '+b:1:web', '+b:1:api'), 'web api');
    assert.equal(run('a:0:web', '+b:1:web', '+b:1:api', '!c:2:web'), 'web api', 'put back');
    assert.equal(run('a:0:web', '+b:1:web', '+b:1:api', '-a:2:web'), 'web');
    assert.equal(run('a:0:web', '+b:1:web', '+b:1:api', '-a:2:web', '-a:2:api'), 'web api');
    const old = { event: 'verified' as const, at: 0, run: { id: '1', attempt: 1 }, ...ref('a') };
    assert.ok(runsLive(historyOf([old]), 'api'), 'a journal that names none');
  });

  test('row 103: a last line that a power cut tore is left out, and the rest stands', () => {
    const entry = { event: 'adopted' as const, at: 0, run: { id: '1', attempt: 1 }, ...ref('a') };
    const whole = recordText(entry);
    assert.deepEqual(parseJournal(`${whole}\n${whole.slice(0, 40)}`, 'j'), [entry]);
    assert.equal(parseJournal(`${whole}\n${whole.slice(0, 40)}\n${whole}\n`, 'j').length, 2);
  });
});

describe('decideDeploy', () => {
  const question = {
    sha: sha('b'),
    explicit: false,
    attempt: 1,
    liveSha: sha('a'),
    liveVerified: true,
    olderThanLive: 'no' as Older,
    history: historyFrom('a'),
    appName: 'app',
    runId: '9',
    envChanges: false,
  };
  const kinds: [string, Partial<typeof question>, string][] = [
    ['a newer commit', {}, 'go'],
    ['row 116: the live, verified commit', { sha: sha('a') }, 'unchanged'],
    ['the live commit with another env file', { sha: sha('a'), envChanges: true }, 'go'],
    ['the live commit that nobody verified', { sha: sha('a'), liveVerified: false }, 'go'],
    ['the live commit that a person named', { sha: sha('a'), explicit: true }, 'go'],
    [
      'row 116: the live commit that this run deployed and a person named',
      { sha: sha('b'), liveSha: sha('b'), history: historyFrom('a', '+b:9'), explicit: true },
      'unchanged',
    ],
    [
      'the live commit, for which another application of the checkout was restarted',
      { sha: sha('b'), liveSha: sha('b'), history: historyFrom('a', '+b:9:web') },
      'go',
    ],
    ['row 118: an older commit that a newer run overtook', { olderThanLive: 'yes' }, 'newer-is-live'],
    ['row 117: an old run started again', { olderThanLive: 'yes', attempt: 2 }, 'refuse'],
    [
      'row 117: a commit that was live before',
      { olderThanLive: 'yes', history: historyFrom('b', '+a') },
      'refuse',
    ],
    ['row 118: a commit of which nobody knows how old it is', { olderThanLive: 'unknown' }, 'refuse'],
    ['the same, where a person named it', { olderThanLive: 'unknown', explicit: true }, 'go'],
    ['an older commit that a person named', { olderThanLive: 'yes', explicit: true }, 'go'],
    ['a commit marked bad', { history: historyFrom('a', '+b', '-a') }, 'refuse'],
    [
      'a commit marked bad that a person named',
      { history: historyFrom('a', '+b', '-a'), explicit: true },
      'go',
    ],
  ];
  for (const [name, more, kind] of kinds)
    test(`${name}: ${kind}`, () => assert.equal(decideDeploy({ ...question, ...more }).kind, kind));
});

describe('chooseRollback', () => {
  const to = (history: History, more: { undoRun?: string; to?: string }, isAvailable = all): string => {
    const decision = chooseRollback({ appName: 'app', history, isAvailable, ...more });
    return decision.kind === 'go' ? decision.to.release : 'nothing';
  };
  test('undoes what the named run deployed', () => {
    assert.equal(to(historyFrom('a', '+b:1', '+c:2'), { undoRun: '2' }), 'rb');
  });
  test('undoes all deploys of the run, down to what was live before the first', () => {
    assert.equal(to(historyFrom('a', '+b:1', '+c:2', '+d:2'), { undoRun: '2' }), 'rb');
  });
  test('a run that did not cut over, was put back, is undone or overtaken: nothing', () => {
    assert.equal(to(historyFrom('a', '+b:1'), { undoRun: '9' }), 'nothing');
    assert.equal(to(historyFrom('a', '+b:1', '!c:2'), { undoRun: '2' }), 'nothing');
    assert.equal(to(historyFrom('a', '+b:1', '-a'), { undoRun: '1' }), 'nothing');
    assert.equal(to(historyFrom('a', '+b:1', '+c:2'), { undoRun: '1' }), 'nothing');
  });
  test('lands on what really was live, not on the commit before: failures in between do not count', () => {
    assert.equal(to(historyFrom('a', '!b:1', '!c:2', '+d:3'), { undoRun: '3' }), 'ra');
  });
  test('previous goes further back each time it is asked, and never toggles', () => {
    assert.equal(to(historyFrom('a', '+b', '+c'), { to: 'previous' }), 'rb');
    assert.equal(to(historyFrom('a', '+b', '+c', '-b'), { to: 'previous' }), 'ra');
    assert.throws(
      () => to(historyFrom('a', '+b', '+c', '-b', '-a'), { to: 'previous' }),
      /no verified release/,
    );
  });
  test('previous passes over releases that are bad or were pruned', () => {
    assert.equal(to(historyFrom('a', '+b', '+c', '-b', '+d'), { to: 'previous' }), 'rb');
    assert.equal(
      to(historyFrom('a', '+b', '+c'), { to: 'previous' }, (release) => release !== 'rb'),
      'ra',
    );
  });
  test('an application whose neighbour in the checkout went back is restarted there, not taken further back', () => {
    const history = historyFrom('a:0:app', '+b:1:app', '+b:1:api', '+c:2:app', '+c:2:api', '-b:3:api');
    for (const asked of [{ to: 'previous' }, { undoRun: '2' }, { to: 'rb' }])
      assert.equal(to(history, asked), 'rb', JSON.stringify(asked));
    assert.equal(to(history, { undoRun: '7' }), 'nothing');
  });
  test('a commit by its first letters, or a release by its name', () => {
    assert.equal(to(historyFrom('a', '+b', '+c'), { to: sha('a').slice(0, 7) }), 'ra');
    assert.equal(to(historyFrom('a', '+b', '+c'), { to: 'rb' }), 'rb');
    assert.equal(to(historyFrom('a', '+b', '+c'), { to: 'rc' }), 'nothing');
  });
  test('row 104: a target that was pruned, or never was live, is refused', () => {
    const history = historyFrom('a', '+b', '+c');
    assert.throws(() => to(history, { to: sha('a') }, () => false), /has been pruned/);
    assert.throws(() => to(history, { to: sha('e') }), /was never live/);
  });
});

describe('the way back', () => {
  const way = (words: string[], undo: { undoRun: string } | { to: string }) => {
    const answer = hostRollbackTarget({
      appName: 'app',
      history: historyFrom(...words),
      isAvailable: all,
      ...undo,
    });
    if (answer.kind === 'go')
      return `${answer.to.release} of ${answer.runs}${answer.forward ? ' forward' : ''}`;
    return answer.kind === 'nothing' ? `nothing of ${answer.runs}: ${answer.why}` : answer.problem.message;
  };
  const rows: [string, string[], { undoRun: string } | { to: string }, string | RegExp][] = [
    ['a run: takes back itself', ['a', '+b:1', '+c:2'], { undoRun: '2' }, 'rb of 2'],
    ['previous: the run that brought what is live', ['a', '+b:1', '+c:2'], { to: 'previous' }, 'rb of 2'],
    ['a commit: every run since', ['a', '+b:1', '+c:2', '+d:3'], { to: sha('b') }, 'rb of 2,3'],
    ['what was there before the first deploy', ['a', '+b:1', '+c:2'], { to: 'ra' }, 'ra of 1,2'],
    ['runs that were put back count too', ['a', '+b:1', '!c:2', '+d:3'], { to: sha('b') }, 'rb of 2,3'],
    [
      'asked again after the code went back: still the runs that came after',
      ['a', '+b:1', '+c:2', '-b'],
      { to: sha('b') },
      /^nothing of 2: .* is live already/,
    ],
    [
      'a commit that came after the live one',
      ['a', '+b:1', '+c:2', '-b'],
      { to: sha('c') },
      'rc of  forward',
    ],
    [
      'one that others came after',
      ['a', '+b:1', '+c:2'],
      { undoRun: '1' },
      /^nothing of 1: ccccccc came after/,
    ],
    ['one that is undone', ['a', '+b:1', '+c:2', '-b'], { undoRun: '2' }, /is undone already/],
    [
      'one that the server put back',
      ['a', '+b:1', '!c:2'],
      { undoRun: '2' },
      /has put back what run 2 changed/,
    ],
    [
      'one that never came here',
      ['a', '+b:1'],
      { undoRun: '7' },
      /run 7 did not change the live version here/,
    ],
    ['a commit that never was live', ['a', '+b:1'], { to: sha('e') }, /was never live/],
  ];
  for (const [title, words, undo, expected] of rows)
    test(title, () => {
      if (typeof expected === 'string') assert.equal(way(words, undo), expected);
      else assert.match(way(words, undo), expected);
    });
});

describe('pruning', () => {
  const names = ['ra', 'rb', 'rc', 'rd', 're'];
  const kept = (history: History, keep: number): string[] => {
    const gone = prunable(names, history, keep, all);
    return names.filter((name) => !gone.includes(name));
  };
  test('keeps the newest verified releases', () => {
    assert.deepEqual(kept(historyFrom('a', '+b', '+c', '+d', '+e'), 2), ['rd', 're']);
    assert.deepEqual(kept(historyFrom('a', '+b', '+c', '+d', '+e'), 4), ['rb', 'rc', 'rd', 're']);
  });
  test('never deletes the live one or the one a rollback would go to', () => {
    const history = historyFrom('a', '+b', '+c', '+d', '+e', '-b');
    assert.deepEqual(kept(history, 2), ['ra', 'rb']);
    assert.deepEqual(previousVerified(history, all), ref('a'));
  });
  test('never deletes the only verified release', () => {
    const history = historyOf([
      ...['a'].map((name) => ({
        event: 'adopted' as const,
        at: 0,
        run: { id: '0', attempt: 1 },
        ...ref(name),
      })),
      { event: 'broken', at: 0, run: { id: '1', attempt: 1 }, ...ref('e') },
    ]);
    assert.ok(kept(history, 2).includes('ra'));
  });
});
