import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import {
  askAnsweredVersion,
  pathEnds,
  type Shown,
  shows,
  type VersionMarks,
} from '../../../src/http/answered-version.js';
import { tellApart } from '../../../src/worker/cutover/version-marks.js';
import { programsBehind } from '../../../src/worker/host/processes.js';
import {
  type Answered,
  awaitProof,
  type Behind,
  judgeAnswered,
  judgeBehind,
  judgeRestart,
  restartedNothing,
  unprovenRestart,
} from '../../../src/worker/supervisor/restart-proof.js';
import { freePort } from '../../servers/free-port.js';
import { kill } from '../../servers/pm2.js';
import { until } from '../../servers/until.js';
import { ask } from '../../servers/vps.js';
import { HEALTH } from '../../servers/worker.js';

const SHA = { old: 'a1'.repeat(20), new: 'b2'.repeat(20) };
const NONE: VersionMarks = { texts: [], files: new Set() };
const VERSIONS = { to: { ...NONE, commit: SHA.new }, from: { ...NONE, commit: SHA.old } };

describe('whether a restart-command restarted anything', () => {
  test('row 139: one proof is enough; it fails only where the programs are seen, all old, and so is the answer', () => {
    const table: [Answered, Behind, ReturnType<typeof judgeRestart>][] = [
      ['new', 'new', 'restarted'],
      ['new', 'old', 'restarted'],
      ['new', 'unclear', 'restarted'],
      ['old', 'new', 'restarted'],
      ['old', 'old', 'not-restarted'],
      ['old', 'unclear', 'unknown'],
      ['neither', 'new', 'restarted'],
      ['neither', 'old', 'unknown'],
      ['neither', 'unclear', 'unknown'],
    ];
    for (const [answered, behind, verdict] of table)
      assert.equal(judgeRestart(answered, behind), verdict, `${answered}, ${behind}`);
  });

  test('row 139: a program is new where it was not there before, and stays', () => {
    const set = (...programs: string[]): Set<string> => new Set(programs);
    const table: [string[], string[] | undefined, string[] | undefined, Behind][] = [
      [['1:5'], undefined, undefined, 'unclear'],
      [['1:5'], undefined, [], 'unclear'],
      [['1:5', '2:5'], undefined, ['1:5'], 'old'],
      [['1:5'], undefined, ['1:5', '2:9'], 'unclear'],
      [['1:5'], ['1:5', '2:9'], ['1:5', '3:9'], 'unclear'],
      [['1:5'], ['1:5', '2:9'], ['1:5', '2:9'], 'new'],
      // The same id, used again for another program.
      [['1:5'], ['1:7'], ['1:7'], 'new'],
      [[], ['1:7'], ['1:7'], 'new'],
    ];
    for (const [old, earlier, now, behind] of table)
      assert.equal(
        judgeBehind(set(...old), earlier && set(...earlier), now && set(...now)),
        behind,
        JSON.stringify([old, earlier, now]),
      );
  });

  test('row 139: what an answer may name of a version: commit, build id, text, script', () => {
    const marks: VersionMarks = {
      commit: SHA.new,
      texts: ['Xb3-build-id'],
      files: new Set(['assets/index-9f.js', 'main.9f.js']),
    };
    const text = (...texts: string[]): Shown => ({ texts, assets: [] });
    const page = (...assets: string[]): Shown => ({ texts: [], assets });
    for (const [shown, expected] of [
      [text(`{"commit":"${SHA.new}"}`), true],
      [text(`built from ${SHA.new.slice(0, 7).toUpperCase()}.`), true],
      [text(SHA.new.slice(0, 6)), false],
      [text(`0${SHA.new}`), false],
      [text('<script src="/_next/static/Xb3-build-id/_buildManifest.js">'), true],
      [page('/assets/index-9f.js'), true],
      [page('/shop/assets/index-9f.js'), true],
      [page('/main.9f.js'), true],
      [page('/vendor/main.9f.js'), false],
      [page('/assets/index-8e.js'), false],
      [text(SHA.old), false],
    ] as const)
      assert.equal(shows(shown, marks), expected, JSON.stringify(shown));
    assert.deepEqual(pathEnds('/a/b/c.js'), ['b/c.js', 'c.js']);
    assert.equal(judgeAnswered(text(SHA.new, SHA.old), VERSIONS), 'new');
    assert.equal(judgeAnswered(text(SHA.old), VERSIONS), 'old');
    assert.equal(judgeAnswered(text('hello'), VERSIONS), 'neither');
  });

  test('two versions are told apart by what only one of them has', () => {
    const root = mkdtempSync(join(tmpdir(), 'muva-marks-'));
    const put = (path: string, text = ''): void => {
      mkdirSync(dirname(join(root, path)), { recursive: true });
      writeFileSync(join(root, path), text);
    };
    try {
      for (const file of ['dist/assets/a-1.js', 'dist/assets/same.js', 'node_modules/x/only-old.js'])
        put(`old/${file}`);
      put('old/.next/BUILD_ID', 'build-of-old\n');
      for (const file of ['dist/assets/a-2.js', 'dist/assets/same.js', 'dist/assets/a-1.js'])
        put(`new/${file}`);
      put('new/.next/BUILD_ID', 'build-of-new\n');
      const output = ['dist', '.next', 'node_modules', 'gone'];
      const version = (name: 'old' | 'new', carried: string[] = []) => ({
        sha: SHA[name],
        folder: join(root, name),
        output,
        carried,
      });
      const { to, from } = tellApart(version('new', ['dist/assets/a-1.js']), version('old'));
      assert.deepEqual([to.commit, to.texts], [SHA.new, ['build-of-new']]);
      assert.deepEqual([...to.files].sort(), ['a-2.js', 'assets/a-2.js']);
      assert.deepEqual([from.commit, from.texts], [SHA.old, ['build-of-old']]);
      assert.deepEqual([...from.files].sort(), ['a-1.js', 'assets/a-1.js']);
      const again = tellApart(version('new'), version('new'));
      assert.deepEqual([again.to, again.from], [NONE, NONE], 'the same commit and build tell nothing');
    } finally {
      rmSync(root, { recursive: true });
    }
  });

  test('row 139: the words name port and program, and what the application can do', () => {
    assert.match(
      restartedNothing(1).problems[0]!.message,
      /^restart-command ended with 0 and restarted nothing: every program behind port 1 /,
    );
    const why = (answered: Answered, behind: Behind): string =>
      unprovenRestart(80, { answered, behind }).message;
    assert.match(why('neither', 'old'), /behind port 80 is older than the cutover, and the answers name no/);
    assert.match(why('old', 'unclear'), /cannot be seen, or do not stay, and the answers are still those/);
  });
});

describe('what an application shows of its version', () => {
  const server = createServer((request, response) => {
    response.setHeader('x-build', 'header-id');
    if (request.url === '/')
      return response
        .setHeader('content-type', 'text/html')
        .end('<html><script src="/static/app-1.js?x=2"></script><script src="https://cdn.example/a.js">');
    if (request.url === '/api/health') return response.end('{"status":"ok","build":"body-id"}');
    response.writeHead(500).end('unknown-id');
  });
  let baseUrl: string;
  before(
    () =>
      new Promise<void>((resolve) => {
        server.listen(0, '127.0.0.1', () => {
          const address = server.address();
          if (typeof address === 'object') baseUrl = `http://127.0.0.1:${address?.port}`;
          resolve();
        });
      }),
  );
  after(() => server.close());

  test('row 139: the last health path and the scripts of the page are asked; what fails shows nothing', async () => {
    const { signal } = new AbortController();
    const asked = (paths: string[]): Promise<Shown> =>
      askAnsweredVersion({ baseUrl, from: 'vps' }, { paths, timeout: 5_000 }, signal);
    const { texts, assets } = await asked(['/', '/api/health']);
    assert.deepEqual(assets, ['/static/app-1.js']);
    for (const id of ['header-id', 'body-id'])
      assert.ok(
        texts.some((text) => text.includes(id)),
        id,
      );
    assert.deepEqual(await asked(['/api/broken']), { texts: [], assets: [] });
    const nowhere = { baseUrl: 'http://127.0.0.1:1', from: 'vps' as const };
    assert.deepEqual(await askAnsweredVersion(nowhere, { paths: ['/'], timeout: 1_000 }, signal), {
      texts: [],
      assets: [],
    });
  });
});

/**
 * Supervisors that keep the program which listens, with its id and start time, over a graceful reload on SIGHUP. All of
 * them answer with the commit that stood in the file REVISION when the program that answers was started.
 */
const ANSWER = `require('node:http').createServer((q, r) => r.end(commit))`;
const COMMIT = `const commit = require('node:fs').readFileSync('REVISION', 'utf8');`;
const RELOADED = `
process.on('SIGHUP', () => {
  const old = Object.values(cluster.workers);
  cluster.fork().once('listening', () => { for (const worker of old) worker.disconnect(); });
});`;
const MASTERS: Record<string, string> = {
  'a master that hands out connections (Node, PM2)': `
const cluster = require('node:cluster');
if (cluster.isPrimary) { cluster.fork(); ${RELOADED} }
else { ${COMMIT} ${ANSWER}.listen(Number(process.env.PORT), '127.0.0.1'); }`,
  'a master whose workers share its socket (gunicorn, puma, nginx)': `
const cluster = require('node:cluster');
cluster.schedulingPolicy = cluster.SCHED_NONE;
if (cluster.isPrimary) { cluster.fork(); ${RELOADED} }
else { ${COMMIT} ${ANSWER}.listen(Number(process.env.PORT), '127.0.0.1'); }`,
  'a manager that holds the socket and starts the service with it (socket activation)': `
const { spawn } = require('node:child_process');
const { TCP, constants } = process.binding('tcp_wrap');
const socket = new TCP(constants.SERVER);
socket.bind('127.0.0.1', Number(process.env.PORT));
const service = () => spawn(process.execPath, ['-e', ${JSON.stringify(`${COMMIT} ${ANSWER}.listen({ fd: 3 })`)}],
  { stdio: ['ignore', 'ignore', 'inherit', socket.fd] });
let running = service();
process.on('SIGHUP', () => { running.kill(); running = service(); });
setInterval(() => {}, 60000);`,
};

describe('graceful reloads', () => {
  for (const [name, program] of Object.entries(MASTERS))
    test(`row 139: ${name}: the listener stays, and a new program behind it is the proof`, async () => {
      const folder = mkdtempSync(join(tmpdir(), 'muva-master-'));
      const port = await freePort();
      writeFileSync(join(folder, 'REVISION'), SHA.old);
      const master = start(folder, port, program);
      try {
        const served = (): Promise<string | undefined> =>
          ask(port, '/').then(
            ({ body }) => body,
            () => undefined,
          );
        await until('it to answer', served);
        const health = { ...HEALTH, paths: ['/'], deadline: 60_000 };
        const look = { port, health, before: { instances: [], programs: programsBehind(port)! } };
        const silent = { to: NONE, from: NONE };
        assert.ok([...look.before.programs].some((each) => each.startsWith(`${master.pid}:`)));

        // Nothing is restarted: told by the answer, and only suspected without it.
        writeFileSync(join(folder, 'REVISION'), SHA.new);
        const short = { ...health, deadline: 1_500 };
        const still = await awaitProof({ ...look, health: short, versions: VERSIONS });
        assert.deepEqual([still.verdict, still.answered, still.behind], ['not-restarted', 'old', 'old']);
        const quiet = await awaitProof({ ...look, health: short, versions: silent });
        assert.deepEqual([quiet.verdict, quiet.behind], ['unknown', 'old']);

        process.kill(master.pid!, 'SIGHUP');
        const proof = await awaitProof({ ...look, health, versions: silent });
        assert.deepEqual([proof.verdict, proof.behind], ['restarted', 'new']);
        assert.ok(
          [...programsBehind(port)!].some((each) => each.startsWith(`${master.pid}:`)),
          'it stays',
        );
        await until('the new commit', async () => (await served()) === SHA.new);
        const named = await awaitProof({ ...look, versions: VERSIONS });
        assert.deepEqual([named.verdict, named.answered, named.looks], ['restarted', 'new', 1]);
      } finally {
        for (const program of programsBehind(port) ?? []) kill(Number(program.split(':')[0]));
        kill(master.pid!);
        rmSync(folder, { recursive: true });
      }
    });

  test('row 139: programs that may not be seen prove nothing, and nobody is not nobody new', async () => {
    const port = await freePort();
    assert.equal(programsBehind(port), undefined);
    const health = { ...HEALTH, paths: ['/'], deadline: 60_000 };
    const look = { port, health, before: { instances: [], programs: new Set<string>() } };
    const proof = await awaitProof({ ...look, versions: VERSIONS });
    assert.deepEqual([proof.verdict, proof.looks], ['unknown', 1]);
  });
});

function start(folder: string, port: number, program: string): ChildProcess {
  writeFileSync(join(folder, 'master.cjs'), program);
  return spawn(process.execPath, ['master.cjs'], {
    cwd: folder,
    env: { ...process.env, PORT: String(port) },
    stdio: 'ignore',
  });
}
