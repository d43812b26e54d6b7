import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { parseJournal } from '../../src/worker/state/journal.js';
import { withVps } from '../servers/vps.js';
import { deployRequest, rollbackRequest, runWorker } from '../servers/worker.js';

describe('the first deploy of the commit that is live already', () => {
  test('row 134: the new build and the new env file serve, the next run says so, and a rollback brings the old ones', () =>
    withVps({ envLocal: 'GREETING=old\n' }, async (vps, origin) => {
      const sha = origin.head();
      const deployed = async (greeting: string) =>
        (await runWorker(vps, deployRequest(vps, sha, { envFile: `GREETING=${greeting}\n` }))).result;
      const first = await deployed('new');
      assert.equal(first.outcome, 'deployed', JSON.stringify(first));
      const served = await vps.served();
      assert.deepEqual([served?.greeting, served?.commit], ['new', sha]);
      assert.equal(readFileSync(join(vps.appPath, '.env.local'), 'utf8'), 'GREETING=new\n');
      const state = join(vps.root, 'var/www/.app.deploy');
      const file = join(state, 'journal.jsonl');
      const journal = parseJournal(readFileSync(file, 'utf8'), file);
      assert.deepEqual(
        journal.map(({ event }) => event),
        ['adopted', 'cutover', 'verified'],
      );
      const [adopted, cutover] = journal;
      assert.equal(cutover!.from?.release, adopted!.release);
      assert.notEqual(cutover!.release, adopted!.release);
      assert.equal(readdirSync(join(state, 'notes')).length, 2, 'each has a note of its own');

      assert.equal((await deployed('new')).outcome, 'unchanged');
      assert.equal((await deployed('newer')).outcome, 'deployed');
      assert.equal((await vps.served())?.greeting, 'newer');
      for (const greeting of ['new', 'old']) {
        const { result } = await runWorker(vps, rollbackRequest(vps, { to: 'previous' }));
        assert.equal(result.outcome, 'rolled-back', JSON.stringify(result));
        assert.equal((await vps.served())?.greeting, greeting);
      }
    }));
});
