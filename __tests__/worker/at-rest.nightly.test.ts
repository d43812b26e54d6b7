import assert from 'node:assert/strict';
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { appFiles, appVersion } from '../servers/fixture-app.js';
import { type Origin, startOrigin } from '../servers/origin.js';
import { startVps, type Vps } from '../servers/vps.js';
import { app, deployRequest, runWorker } from '../servers/worker.js';

const SECRET = 'of-the-app-8Gk2xW';

/** What a deploy writes down on the server: its journal, and the events and output of its runs. */
describe('what stays on the server', () => {
  let origin: Origin;
  let vps: Vps;
  let state: string;
  before(async () => {
    const { 'server.js': server, ...rest } = appFiles('v1');
    const talkative = `console.log(require('node:fs').readFileSync('.env.local', 'utf8'));\n${server}`;
    origin = startOrigin({ ...rest, 'server.js': talkative });
    vps = await startVps(origin, { envLocal: `API_KEY=${SECRET}\n` });
    state = join(vps.root, 'var/www/.app.deploy');
  });
  after(async () => {
    await vps?.stop();
    origin?.stop();
  });

  /** Text of all that was written down, by path; the releases hold the environment file itself. */
  const written = (): Map<string, string> => {
    const files = readdirSync(state, { recursive: true }).map(String);
    return new Map(
      files
        .filter(
          (file) => !/^(releases|repository\.git)(\/|$)/.test(file) && statSync(join(state, file)).isFile(),
        )
        .map((file) => [file, readFileSync(join(state, file), 'utf8')]),
    );
  };
  const holds = (text: string): string[] =>
    [...written()].filter(([, content]) => content.includes(text)).map(([file]) => file);

  test('row 129: a rehearsal that prints a secret of the application', async () => {
    const request = deployRequest(vps, origin.commit(appVersion('v2', { crashAtBoot: true })));
    const { result } = await runWorker(vps, request);
    assert.match(result.problems[0]!.message, /cannot start: no database/);
    assert.doesNotMatch(JSON.stringify(result), new RegExp(SECRET));
    assert.deepEqual(holds(SECRET), []);
    const log = written().get(`runs/${request.run.id}.1.deploy/output.log`)!;
    assert.match(log, /^\*\*\*$/m);
    assert.match(log, /cannot start: no database/);
  });

  test('row 129: a restart that prints a secret and fails, once and then again', async () => {
    const failing = (times: number): string =>
      `n=$(cat ../n 2>/dev/null || echo 0); echo $((n + 1)) >../n; [ "$n" -ge ${times} ] || { cat .env.local; exit 1; }; pm2 reload app`;
    const deploy = async (version: string, restartCommand: string): Promise<string> => {
      const request = deployRequest(vps, origin.commit(appVersion(version)));
      const { result } = await runWorker(vps, {
        ...request,
        app: app(vps, { restartCommand, healthPort: vps.port }),
      });
      assert.match(result.problems[0]!.message, /restart-command ended with 1: \*\*\*/);
      return result.outcome;
    };
    assert.equal(await deploy('v3', failing(1)), 'put-back');
    assert.equal(await deploy('v4', failing(9)), 'broken');
    assert.deepEqual(holds(SECRET), []);
    const details = written()
      .get('journal.jsonl')!
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as { event: string; detail?: string })
      .filter(({ detail }) => detail !== undefined);
    assert.deepEqual(
      details.map(({ event }) => event),
      ['put-back', 'broken'],
    );
    for (const { detail } of details) assert.match(detail!, /restart-command ended with 1: \*\*\*/);
  });
});
