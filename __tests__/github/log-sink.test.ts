import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { type RunResult, runAction } from '../servers/runner.js';

const root = mkdtempSync(join(tmpdir(), 'log-test-'));
after(() => rmSync(root, { recursive: true, force: true }));
writeFileSync(
  join(root, 'action.yml'),
  'name: Chatty\ninputs: { say: {} }\nruns: { using: node24, main: main.js }\n',
);

function say(scene: string): Promise<RunResult> {
  const entry = fileURLToPath(new URL('../servers/chatty-action.js', import.meta.url));
  return runAction({ root, entry, workspace: root, inputs: { say: scene } });
}

describe('the GitHub log', () => {
  test('row 91: output of programs is grouped, shown, and obeyed by nobody', async () => {
    const { outputs, state, annotations, log, exitCode } = await say('hostile');
    assert.equal(exitCode, 0);
    assert.deepEqual([outputs, state, annotations], [{}, {}, []]);
    assert.match(log, /##\[group\]build on host 1\n::stop-commands::\*\*\*\n/);
    assert.match(log, /compiling # #\[set-output name=a\]1/);
    assert.match(log, /: :error file=a\.ts,line=1::not ours/);
    // The group was closed by us, after the program's last line.
    assert.match(log, /# #\[endgroup\]\n::\*\*\*::\n##\[endgroup\]\nafter the build, hotel\n/);
  });

  test('row 129: secrets in output are masked in every form, also cut by colours and chunks', async () => {
    const { log } = await say('hostile');
    assert.doesNotMatch(log, /w0rd|7730726/);
    assert.doesNotMatch(log, new RegExp(Buffer.from('w0rd-of-the').toString('base64').slice(2, 10)));
    assert.match(log, /error: server said # #\[set-output name=d\]4 \*\*\*/);
  });

  test('silent work says that it is still there, and claims nothing', async () => {
    const { log } = await say('silent');
    const beats = log.split('\n').filter((line) => line.includes('still at installing packages,'));
    assert.ok(beats.length >= 2 && beats.length <= 5, log);
    assert.match(beats[0]!, /^ {2}\.\.\. {5}still at installing packages, \d+ ms so far$/);
  });
});
