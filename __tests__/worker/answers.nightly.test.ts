import assert from 'node:assert/strict';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { freePort } from '../servers/free-port.js';
import { startOrigin } from '../servers/origin.js';
import { ask, startVps, type Vps } from '../servers/vps.js';
import { app, deployRequest, type Followed, HEALTH, runWorker } from '../servers/worker.js';

/** Answers below BASE and nowhere else, on the address HOST; without the path HEALTH it has no health answer. */
const SERVER = `
const { HOST, BASE = '', HEALTH = BASE + '/api/health', PORT, FIXED } = process.env;
require('node:http').createServer((request, response) => {
  const known = { [BASE + '/']: 'text/html', [HEALTH]: 'application/json', [BASE + '/a.js']: 'text/javascript' };
  response.writeHead(known[request.url] ? 200 : 404, { 'content-type': known[request.url] ?? 'text/plain' });
  response.end(request.url === BASE + '/' ? '<!doctype html><script src="' + BASE + '/a.js"></script>' : '{}');
}).listen(PORT, HOST);
if (FIXED) require('node:net').createServer().listen(FIXED, '127.0.0.1');
process.on('SIGINT', () => process.exit(0));
`;

describe('where an application answers', () => {
  let vps: Vps;
  before(async () => {
    const nothing = startOrigin({});
    vps = await startVps(nothing, { installed: false });
    nothing.stop();
  });
  after(() => vps?.stop());

  const deploy = async (
    variables: string,
    health: Partial<typeof HEALTH>,
    work: (first: Followed, port: number, again: () => Promise<Followed>) => Promise<void>,
  ): Promise<void> => {
    const port = await freePort();
    const origin = startOrigin({
      'package.json': JSON.stringify({ scripts: { start: `PORT=${port} ${variables} node server.js` } }),
      'server.js': SERVER,
    });
    const run = (sha: string): Promise<Followed> =>
      runWorker(
        vps,
        deployRequest(vps, sha, {
          app: app(vps, { appPath: join(vps.root, 'var/www', `app-${port}`) }),
          repositoryUrl: origin.url,
          health: { ...HEALTH, ...health },
        }),
      );
    try {
      await work(await run(origin.head()), port, () => run(origin.commit({ next: '' })));
    } finally {
      await vps.run('pm2 delete app');
      origin.stop();
    }
  };

  test('on the other family of addresses: it is rehearsed, goes live, and its downtime is measured there', () =>
    deploy('HOST=::1', {}, async (first, port, again) => {
      assert.equal(first.result.outcome, 'deployed', JSON.stringify(first.result));
      await assert.rejects(ask(port, '/'), /ECONNREFUSED/);
      const { result } = await again();
      assert.equal(result.outcome, 'deployed', JSON.stringify(result));
      assert.equal(result.rehearsed, true);
      assert.ok((result.downtimeMs ?? Number.POSITIVE_INFINITY) < 2_000, `${result.downtimeMs} ms`);
    }));

  test('below a path, with Next.js and basePath, say', () =>
    deploy('BASE=/shop', { basePath: '/shop' }, async ({ result }) => {
      assert.equal(result.outcome, 'deployed', JSON.stringify(result));
      assert.equal(result.rehearsed, true);
      assert.ok(result.health!.every(({ ok }) => ok));
    }));

  test('without a health answer: the path is named, and what to do where there is none', () =>
    deploy('HEALTH=/none', { deadline: 1_500 }, async ({ result }) => {
      assert.equal(result.outcome, 'failed');
      const [problem] = result.problems;
      assert.match(problem!.message, /not healthy on its spare port: \/api\/health: answers 404/);
      assert.match(
        problem!.next!,
        /^The live version was not touched\. Does the application have \/api\/health\?/,
      );
    }));

  test('on a second port, which the live version has: the way around it is told', () =>
    deploy(`FIXED=${vps.port}`, {}, async (first, _port, again) => {
      assert.equal(first.result.outcome, 'deployed', JSON.stringify(first.result));
      const { result } = await again();
      assert.equal(result.outcome, 'failed');
      assert.match(result.problems[0]!.next!, /wants another port too.*REHEARSAL=1.*rehearse: false/);
    }));
});
