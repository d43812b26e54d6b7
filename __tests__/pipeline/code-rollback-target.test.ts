import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { chooseCodeTarget } from '../../src/pipeline/code-rollback-target.js';
import { rollbackSummary } from '../../src/pipeline/rollback.js';
import type { HostReport } from '../../src/server/fleet/inspect-fleet.js';
import type { HostFacts, HostRollbackTarget } from '../../src/worker/protocol.js';

const sha = (letter: string): string => letter.repeat(40);

/** A look at host `position`, which serves a commit and answers; or a host that does not answer. */
function host(position: number, live: string, wayBack?: HostRollbackTarget): HostReport {
  const own = { host: position, name: `host ${position}`, prefix: `host ${position}: ` };
  if (!wayBack) return { ...own, problem: { message: `host ${position} refused the connection` } };
  const facts: HostFacts = {
    layout: 'checkout',
    strategy: 'in-place',
    liveVerified: true,
    liveSha: sha(live),
    dirtyFiles: [],
    freeBytes: 0,
    memoryBytes: 0,
    refusals: [],
    deployRefusals: [],
    warnings: [],
    wayBack,
  };
  return { ...own, facts };
}

const go = (to: string, release: string, runs: string[], forward = false): HostRollbackTarget => ({
  kind: 'go',
  to: { sha: sha(to), release },
  forward,
  runs,
});
const live = (runs: string[]): HostRollbackTarget => ({ kind: 'nothing', why: 'is live already', runs });
const refused: HostRollbackTarget = { kind: 'refused', problem: { message: 'b has been pruned' } };
const overtaken: HostRollbackTarget = {
  kind: 'nothing',
  why: 'ddddddd came after',
  runs: ['2'],
  overtakenBy: sha('d'),
};

describe('the way back of the code', () => {
  type Row = [
    title: string,
    to: string | undefined,
    looks: HostReport[],
    schema: boolean,
    expected: string | RegExp,
  ];
  const rows: Row[] = [
    ['a run', undefined, [host(1, 'c', go('b', 'rb', ['2']))], true, 'undo 2; runs 2; --run-id 2'],
    [
      'a run, one host cannot be reached',
      undefined,
      [host(1, 'c', go('b', 'rb', ['2'])), host(2, '')],
      true,
      'undo 2, undo 2; runs 2; --run-id 2',
    ],
    [
      'a run that was overtaken',
      undefined,
      [host(1, 'd', overtaken)],
      true,
      /host 1: run 2 was overtaken: ddddddd/,
    ],
    [
      'previous is one commit, by the name that it has on each host',
      'previous',
      [host(1, 'c', go('b', 'r1', ['2'])), host(2, 'c', go('b', 'r2', ['2']))],
      true,
      `to r1, to r2; runs 2; --rollback-to ${sha('b')}`,
    ],
    [
      'previous, and a host that cannot be reached is sent there too',
      'previous',
      [host(1, 'c', go('b', 'r1', ['2'])), host(2, '')],
      true,
      `to r1, to ${sha('b')}; runs 2; --rollback-to ${sha('b')}`,
    ],
    [
      'previous, while the hosts serve different commits',
      'previous',
      [host(1, 'b', go('a', 'r1', ['1'])), host(2, 'c', go('b', 'r2', ['2']))],
      true,
      /the hosts serve different commits \(host 1 bbbbbbb, host 2 ccccccc\)/,
    ],
    [
      'a commit, after half of it was done: the rest follows',
      sha('b'),
      [host(1, 'b', live(['2'])), host(2, 'c', go('b', 'r2', ['2']))],
      true,
      `to ${sha('b')}, to r2; runs 2; --rollback-to ${sha('b')}`,
    ],
    [
      'a name that means different commits',
      'rx',
      [host(1, 'c', go('a', 'r1', ['1'])), host(2, 'c', go('b', 'r2', ['2']))],
      true,
      /the hosts would go to different commits/,
    ],
    [
      'one host refuses: none is changed',
      sha('b'),
      [host(1, 'c', refused), host(2, 'c', live([]))],
      true,
      /host 1: b has been pruned/,
    ],
    ['nobody answers', sha('b'), [host(1, '')], true, /host 1 refused the connection/],
    [
      'forward, with a schema',
      sha('c'),
      [host(1, 'b', go('c', 'rc', [], true))],
      true,
      /came after what is live/,
    ],
    [
      'forward, the code alone',
      sha('c'),
      [host(1, 'b', go('c', 'rc', [], true))],
      false,
      `to rc; runs ; --rollback-to ${sha('c')}`,
    ],
  ];
  for (const [title, to, looks, schema, expected] of rows)
    test(title, () => {
      const wanted = { runId: '2', ...(to === undefined ? {} : { to }) };
      const target = chooseCodeTarget(wanted, looks, schema);
      const said =
        'refusals' in target
          ? target.refusals.map(({ message }) => message).join('; ')
          : [
              looks
                .map((look) => {
                  const undo = target.undoOn({ position: look.host });
                  return 'to' in undo ? `to ${undo.to}` : `undo ${undo.undoRun}`;
                })
                .join(', '),
              `runs ${target.runs}`,
              target.again.join(' '),
            ].join('; ');
      if (typeof expected === 'string') assert.equal(said, expected);
      else assert.match(said, expected);
    });
});

describe('the closing sentence of a rollback', () => {
  const rows: [code: boolean, schema: boolean, ahead: string[], how: 'down' | 'records', RegExp][] = [
    [true, true, [], 'down', /^The previous version is live again\. The database is back\.$/],
    [false, true, [], 'down', /^The database is back\.$/],
    [
      true,
      false,
      ['2'],
      'down',
      /^The previous version is live again\. .*ahead of the code: 2 stays applied\.$/,
    ],
    [false, false, ['3', '2'], 'down', /^Nothing could be taken back\. .* 3, 2 stay applied\.$/],
    [false, true, [], 'records', /^The history rows are deleted; what the migrations made still stands\.$/],
    [false, false, [], 'down', /^There was nothing to undo: nothing was changed\.$/],
  ];
  for (const [code, schema, ahead, how, expected] of rows)
    test(expected.source, () =>
      assert.match(rollbackSummary({ changed: code }, { changed: schema, ahead }, how), expected),
    );
});
