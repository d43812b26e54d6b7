import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, statSync, utimesSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { pause } from '../../../src/lib/retry.js';
import type { WorkerLine } from '../../../src/worker/protocol.js';
import { signal, streamRunEvents } from '../../../src/worker/run/follow.js';
import { claimRun, type RunFolder } from '../../../src/worker/state/run-folder.js';
import { openStateFolder } from '../../../src/worker/state/state-folder.js';
import { until } from '../../servers/until.js';

describe('by what a run that waits hears of the action', () => {
  const home = mkdtempSync(join(tmpdir(), 'muva-follow-'));
  const appPath = join(home, 'app');
  const app = { appPath, appName: 'app', strategy: 'auto', adoptEnvironment: false } as const;
  const run = { id: '1', attempt: 1 };
  let folder: RunFolder;
  before(() => {
    mkdirSync(appPath);
    folder = claimRun(openStateFolder(appPath, home), run, 'deploy', Buffer.alloc(32))!.folder;
  });
  after(() => rmSync(home, { recursive: true, force: true }));

  const LONG_AGO = 1_000;
  const forget = (): void => utimesSync(folder.heard, LONG_AGO, LONG_AGO);
  const heard = (): boolean => statSync(folder.heard).mtimeMs !== LONG_AGO * 1_000;

  test('row 143: by the start of a follower, and not by its streaming: its connection may lead nowhere', async () => {
    forget();
    const said: WorkerLine[] = [];
    const following = streamRunEvents(
      { command: 'follow', app, run, task: 'deploy', offset: 0 },
      home,
      (line) => void said.push(line),
    );
    await until('the start to be noted', heard);
    forget();
    await pause(300);
    assert.ok(!heard());
    rmSync(folder.events);
    await following;
    assert.deepEqual(said, [{ kind: 'cut-off' }]);
  });

  test('row 143: by each word; to ask whether it is there changes nothing else', () => {
    for (const command of ['ask', 'look', 'rehearse', 'go'] as const) {
      forget();
      assert.deepEqual(signal({ command, app, run }, home).kind, 'signalled');
      assert.ok(heard(), command);
    }
  });
});
