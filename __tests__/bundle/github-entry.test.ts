import assert from 'node:assert/strict';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { createServer, type IncomingMessage } from 'node:http';
import { createServer as createSecureServer } from 'node:https';
import { type AddressInfo, connect, createServer as createTcpServer } from 'node:net';
import { join } from 'node:path';
import type { Duplex } from 'node:stream';
import { after, before, describe, test } from 'node:test';
import { secretForms } from '../../src/lib/secret.js';
import { OUTPUT_NAMES } from '../../src/report/outputs.js';
import { makeCertificate } from '../servers/certificate.js';
import { preloadFlags, runBundle, temporaryFolder } from '../servers/entry-points.js';
import { type GitHubApi, startGitHubApi } from '../servers/github-api.js';
import { withHttpServer } from '../servers/http.js';
import { startOrigin } from '../servers/origin.js';
import type { RunResult } from '../servers/runner.js';

const TOKEN = 'ghs_0123456789abcdefghijklmnopqrstuvwxyz';
/** The newest commit of the pull request. */
const HEAD = 'd'.repeat(40);
const PASSWORD = 'p@ss/w0rd #1 hotel';

const folder = temporaryFolder();
let api: GitHubApi;
/** Answers every path with 200, and /hang never. */
const site = createServer((request, response) => {
  if (request.url === '/hang') return;
  response.writeHead(200, { 'content-type': request.url === '/' ? 'text/html' : 'application/json' });
  response.end(request.url === '/' ? '<!doctype html><title>hotel</title>' : '{"status":"ok"}');
});
let url = '';
/** Answers every login with a Postgres error that quotes the password, as a careless proxy might. */
const gate = createTcpServer((socket) => {
  socket.on('error', () => {});
  socket.once('data', () => {
    const fields = `SFATAL\0C28P01\0Mpassword authentication failed: ${PASSWORD}\0\0`;
    const length = Buffer.alloc(4);
    length.writeUInt32BE(Buffer.byteLength(fields) + 4);
    socket.end(Buffer.concat([Buffer.from('E'), length, Buffer.from(fields)]));
  });
});
let databaseUrl = '';
before(async () => {
  api = await startGitHubApi(TOKEN);
  await new Promise<void>((done) => site.listen(0, '127.0.0.1', done));
  await new Promise<void>((done) => gate.listen(0, '127.0.0.1', done));
  const { port } = gate.address() as AddressInfo;
  databaseUrl = `postgresql://deploy:${encodeURIComponent(PASSWORD)}@127.0.0.1:${port}/app?sslmode=disable`;
  const migrations = join(folder.path, 'supabase/migrations');
  mkdirSync(migrations, { recursive: true });
  writeFileSync(join(migrations, '20250101000000_rooms.sql'), 'create table rooms (id int primary key);\n');
  url = `http://127.0.0.1:${(site.address() as AddressInfo).port}`;
});
after(async () => {
  folder.remove();
  site.closeAllConnections();
  await new Promise((done) => site.close(done));
  await new Promise((done) => gate.close(done));
  await api.close();
});

function assertOutputs(result: RunResult, outcome: string): void {
  assert.deepEqual(Object.keys(result.outputs).sort(), [...OUTPUT_NAMES].sort());
  assert.equal(result.outputs.outcome, outcome, result.log);
}

const health = (more: Record<string, string> = {}): Record<string, string> => ({
  mode: 'health',
  'health-url': url,
  'health-deadline': '2s',
  ...more,
});

describe('the GitHub entry point', () => {
  test('a good run: outputs, report file, summary, no annotation, nothing for post', async () => {
    let report = '';
    const result = await runBundle({
      workspace: folder.path,
      inputs: health(),
      onLine: (line) => {
        // The runner's temp folder goes with the run, so the file is read while it lives.
        if (line.startsWith('report: ')) report = readFileSync(line.slice(8), 'utf8');
      },
    });
    assert.equal(result.exitCode, 0, result.log);
    assertOutputs(result, 'success');
    assert.equal(result.outputs.healthy, 'true');
    assert.equal(result.outputs.verdict, 'ok');
    const { outcome, 'run-id': id, attempt, url: place } = JSON.parse(report);
    assert.deepEqual([outcome, id, attempt], ['success', '1001', 1]);
    assert.match(place, /\/actions\/runs\/1001$/);
    assert.match(result.summary, /^## ✅ health succeeded/);
    assert.deepEqual(result.annotations, []);
    assert.equal(result.state.begun, 'health');
    assert.equal(result.post?.log, '');
    assert.match(result.log, /##\[endgroup\]\nmuva-deploy health, run 1001 attempt 1\n/);
  });

  test('wrong settings: all problems at once, exit 1, outputs set, and post has nothing to do', async () => {
    const result = await runBundle({
      workspace: folder.path,
      inputs: { mode: 'deploi', 'health-timeout': '5', rehearse: 'maybe', 'database-url': 'mysql://x' },
    });
    assert.equal(result.exitCode, 1);
    assertOutputs(result, 'failure');
    for (const name of ['mode', 'health-timeout', 'rehearse', 'database-url'])
      assert.match(result.log, new RegExp(`^error: ${name}: `, 'm'));
    assert.match(result.summary, /^## ❌ /);
    assert.equal(
      result.annotations.filter((each) => each.level === 'error').length,
      4,
      JSON.stringify(result.annotations),
    );
    assert.deepEqual([result.state, result.post?.log], [{}, '']);
  });

  test('row 125: a value with line breaks and EOF reaches the output whole', async () => {
    const temp = join(folder.path, 'a\nEOF\nghadelimiter_x\nb=c');
    mkdirSync(temp);
    const result = await runBundle({ workspace: folder.path, inputs: health(), env: { RUNNER_TEMP: temp } });
    assert.equal(result.conclusion, 'success', result.log);
    assert.ok(result.outputs.report!.startsWith(`${temp}/muva-deploy-health-`), result.outputs.report);
    assertOutputs(result, 'success');
  });

  test('row 126: outside of Actions it runs all the same', async () => {
    const none = Object.fromEntries(
      `GITHUB_ACTIONS GITHUB_ACTOR GITHUB_EVENT_NAME GITHUB_EVENT_PATH GITHUB_REPOSITORY GITHUB_RUN_ATTEMPT GITHUB_RUN_ID
       GITHUB_SERVER_URL GITHUB_SHA GITHUB_WORKSPACE RUNNER_TEMP`
        .split(/\s+/)
        .map((name) => [name, '']),
    );
    const result = await runBundle({
      workspace: folder.path,
      inputs: health(),
      env: { ...none, TMPDIR: folder.path },
    });
    assert.equal(result.exitCode, 0, result.log);
    assert.match(result.log, /^muva-deploy health, run local-\d{8}T\d{6}-[0-9a-f]{4} attempt 1$/m);
  });

  test('rows 127 and 133: a failed connection leaves no form of the password in log, outputs or summary', async () => {
    const result = await runBundle({
      workspace: folder.path,
      inputs: { mode: 'verify', 'database-url': databaseUrl },
      env: { ACTIONS_STEP_DEBUG: 'true' },
    });
    assert.equal(result.exitCode, 1);
    assertOutputs(result, 'failure');
    assert.match(result.log, /password authentication failed: \*\*\*/);
    const seen = [
      result.log,
      result.summary,
      JSON.stringify(result.outputs),
      JSON.stringify(result.annotations),
    ].join('\n');
    const forms = [
      ...secretForms(PASSWORD),
      ...secretForms(encodeURIComponent(PASSWORD)),
      ...secretForms(databaseUrl),
    ];
    for (const form of forms) assert.ok(!seen.includes(form), form);
  });

  test('row 128: a secret that is too short or a common word is warned about and does not blank the log', async () => {
    const result = await runBundle({
      workspace: folder.path,
      inputs: health({ 'ssh-passphrase': 'test', 'supabase-access-token': 'ab' }),
    });
    assert.match(
      result.log,
      /warning: The secret in supabase-access-token, ssh-passphrase is too short or too common/,
    );
    assert.doesNotMatch(result.rawLog, /::add-mask::(test|ab)$/m);
    assert.ok(
      result.annotations.some(
        (each) => each.level === 'warning' && /too short or too common/.test(each.message),
      ),
    );
  });

  for (const [how, code] of [
    ['an error that nobody caught', 'throw error'],
    ['a rejection that nobody handled', 'Promise.reject(error)'],
  ])
    test(`row 132: ${how} is cleaned, and the outputs are written`, async () => {
      const preload = preloadFlags(
        folder.path,
        `const error = new Error('socket of ' + process.env['INPUT_DATABASE-URL']); setTimeout(() => { ${code}; }, 400);`,
      );
      const result = await runBundle({
        workspace: folder.path,
        inputs: health({
          'health-paths': '/hang',
          'health-deadline': '30s',
          'database-url': databaseUrl,
          skip: 'database',
        }),
        env: { NODE_OPTIONS: preload.join(' ') },
      });
      assert.equal(result.exitCode, 1, result.log);
      assertOutputs(result, 'failure');
      assert.match(result.log, /socket of \*\*\*/);
      for (const form of secretForms(PASSWORD)) assert.ok(!result.log.includes(form), form);
      assert.doesNotMatch(result.log, /\n\s+at /);
    });
});

describe('cancel', () => {
  test('row 114: during health: the truth within 6 s, and exit 1', async () => {
    const started = { at: 0 };
    const result = await runBundle({
      workspace: folder.path,
      inputs: health({ 'health-paths': '/hang', 'health-deadline': '60s', 'health-timeout': '50s' }),
      cancelAfter: (log) => {
        if (!/^health /m.test(log)) return false;
        started.at ||= performance.now();
        return true;
      },
    });
    assert.ok(performance.now() - started.at < 6_000);
    assert.deepEqual([result.exitCode, result.signal, result.conclusion], [1, null, 'cancelled'], result.log);
    assertOutputs(result, 'cancelled');
    assert.match(result.log, /^SIGINT received: stopping what is under way$/m);
    assert.match(result.log, /^health was cancelled\.$/m);
    assert.match(result.summary, /^## ⏹️ health was cancelled\n/);
    assert.doesNotMatch(result.log + result.summary, /failed|went wrong/);
    assert.deepEqual(
      result.annotations.map(({ message }) => message),
      ['Health was cancelled'],
    );
  });

  test('row 115: after a forced cancel nothing is claimed: no outputs, a begun state without an end', async () => {
    const result = await runBundle({
      workspace: folder.path,
      inputs: health({ 'health-paths': '/hang', 'health-deadline': '60s', 'health-timeout': '50s' }),
      cancelAfter: (log) => /^health /m.test(log),
      force: true,
    });
    assert.equal(result.signal, 'SIGKILL');
    assert.deepEqual([result.outputs, result.post], [{}, undefined]);
    const { session, ...rest } = result.state;
    assert.match(session ?? '', /^[0-9a-f-]{36}$/);
    assert.deepEqual(rest, { begun: 'health' });
  });
});

test('row 124: the warnings of 60 files are cut to ten annotations, and the cut is told', async () => {
  const many = temporaryFolder();
  const migrations = join(many.path, 'supabase/migrations');
  mkdirSync(migrations, { recursive: true });
  for (let version = 10_000; version < 10_060; version++)
    writeFileSync(join(migrations, `2025010100${version}_t.sql`), `drop table t_${version};\n`);
  try {
    const result = await runBundle({
      workspace: many.path,
      inputs: { mode: 'plan', skip: 'database, vps' },
    });
    assert.equal(result.exitCode, 0, result.log.slice(-2_000));
    assert.equal(result.annotationsSaid, 10);
    assert.match(result.annotations.at(-1)!.message, /^51 more are in the log and in the report file\.$/);
    assert.match(result.summary, /10 more are in the report file\./);
  } finally {
    many.remove();
  }
});

test('row 120: a step that nobody can cancel ends by its own deadline', async () => {
  const result = await runBundle({
    workspace: folder.path,
    inputs: health({ 'health-paths': '/hang', 'health-deadline': '1s', 'health-timeout': '300ms' }),
  });
  assert.equal(result.exitCode, 1);
  assertOutputs(result, 'failure');
  assert.ok(result.milliseconds < 5_000, String(result.milliseconds));
});

describe('plan on a pull request', () => {
  const pull = (head: string): object => ({
    pull_request: {
      number: 7,
      head: { sha: HEAD, repo: { full_name: head } },
      base: { repo: { full_name: 'octocat/hotel' } },
    },
  });
  const plan = async (
    head: string,
    inputs: Record<string, string> = {},
    env: Record<string, string> = {},
  ): Promise<RunResult> =>
    runBundle({
      workspace: folder.path,
      inputs: { mode: 'plan', skip: 'database, vps', ...inputs },
      token: TOKEN,
      event: pull(head),
      env: { GITHUB_EVENT_NAME: 'pull_request', GITHUB_API_URL: api.url, ...env },
    });

  test('of the repository itself keeps one comment', async () => {
    for (const _ of [1, 2]) {
      const result = await plan('octocat/hotel');
      assert.equal(result.exitCode, 0, result.log);
    }
    assert.equal(api.comments.length, 1);
    assert.match(api.comments[0]!.body, /^<!-- muva-deploy plan [0-9a-f]{20} -->\n## ✅ plan succeeded/);
    assert.match(api.comments[0]!.body, new RegExp(`/octocat/hotel/commit/${HEAD}"`));
    assert.match(api.comments[0]!.body, /\/octocat\/hotel\/actions\/runs\/1001"/);
  });

  test('goes through the proxy of the runner', async () => {
    const asked: string[] = [];
    const proxy = createServer();
    // The name is known to nobody else, so a request that does not come here reaches nothing.
    proxy.on('connect', ({ url: to = '' }: IncomingMessage, client: Duplex) => {
      asked.push(to);
      const server = connect(Number(new URL(api.url).port), '127.0.0.1', () => {
        client.write('HTTP/1.1 200 Connection Established\r\n\r\n');
        server.pipe(client).pipe(server);
      });
      for (const socket of [server, client]) socket.on('error', () => socket.destroy());
    });
    await new Promise<void>((done) => proxy.listen(0, '127.0.0.1', done));
    try {
      api.comments.length = 0;
      const result = await plan(
        'octocat/hotel',
        {},
        {
          GITHUB_API_URL: 'http://github.invalid',
          http_proxy: `http://127.0.0.1:${(proxy.address() as AddressInfo).port}`,
        },
      );
      assert.equal(result.exitCode, 0, result.log);
      assert.deepEqual(result.annotations, [], result.log);
      assert.equal(api.comments.length, 1);
      assert.ok(asked.length > 0 && asked.every((to) => to === 'github.invalid:80'), String(asked));
    } finally {
      await new Promise((done) => proxy.close(done));
    }
  });

  describe('row 149: with NODE_TLS_REJECT_UNAUTHORIZED=0', () => {
    const off = { NODE_TLS_REJECT_UNAUTHORIZED: '0' };

    test('row 149: the API is verified all the same, and that is told', () =>
      withHttpServer(
        (_request, response) => response.end('[]'),
        async ({ port, requests }) => {
          const result = await plan(
            'octocat/hotel',
            {},
            { ...off, GITHUB_API_URL: `https://localhost:${port}` },
          );
          assert.equal(result.exitCode, 0, result.log);
          assert.deepEqual(requests, [], 'the token went to whoever answered');
          assert.match(result.log, /^warning: Plan comment not written: /m);
          assert.match(result.log, /^warning: NODE_TLS_REJECT_UNAUTHORIZED=0 is set .*verified/m);
        },
        { tls: makeCertificate() },
      ));

    test('row 149: a proxy is verified all the same', async () => {
      let greeted = 0;
      const proxy = createSecureServer(makeCertificate());
      proxy.on('connect', (_request: IncomingMessage, client: Duplex) => {
        greeted++;
        client.destroy();
      });
      proxy.on('tlsClientError', () => {});
      await new Promise<void>((done) => proxy.listen(0, '127.0.0.1', done));
      const address = `https://localhost:${(proxy.address() as AddressInfo).port}`;
      try {
        const result = await plan(
          'octocat/hotel',
          {},
          { ...off, GITHUB_API_URL: 'http://github.invalid', http_proxy: address },
        );
        assert.equal(result.exitCode, 0, result.log);
        assert.match(result.log, /^warning: Plan comment not written: /m);
        assert.equal(greeted, 0);
      } finally {
        await new Promise((done) => proxy.close(done));
      }
    });
  });

  test('row 122: where GitHub is not found, that is told, and no status that nobody sent', async () => {
    const result = await plan('octocat/hotel', {}, { GITHUB_API_URL: 'http://github.invalid' });
    assert.equal(result.exitCode, 0, result.log);
    assert.match(result.log, /^warning: Plan comment not written: .*github\.invalid$/m);
  });

  test('row 122: without the permission it is a warning and the summary', async () => {
    api.fail('forbidden');
    const result = await plan('octocat/hotel');
    api.fail(undefined);
    assert.equal(result.exitCode, 0);
    assert.match(result.summary, /Plan comment not written/);
    assert.ok(
      result.annotations.some(
        ({ level, message }) => level === 'warning' && /pull-requests: write/.test(message),
      ),
    );
  });

  test('row 122: of a fork asks nothing of the API and leaves the plan in the summary', async () => {
    api.requests.length = 0;
    const result = await plan('somebody/hotel');
    assert.equal(result.exitCode, 0, result.log);
    assert.deepEqual(api.requests, []);
    assert.match(result.summary, /plan succeeded/);
    assert.match(result.log, /the token of a fork cannot comment/);
  });
});

describe('an event with the head of a fork', () => {
  const elsewhere = { full_name: 'somebody/hotel' };
  const pull = {
    pull_request: { number: 7, head: { repo: elsewhere }, base: { repo: { full_name: 'octocat/hotel' } } },
  };
  const events: [event: string, payload: object, what: string][] = [
    ['pull_request', pull, 'pull request'],
    ['pull_request_review', pull, 'pull request'],
    ['pull_request_review_comment', pull, 'pull request'],
    ['workflow_run', { workflow_run: { event: 'pull_request', head_repository: elsewhere } }, 'workflow run'],
    ['workflow_run', { workflow_run: { event: 'pull_request', head_repository: null } }, 'workflow run'],
  ];
  const write = (env: Record<string, string>, event: object, workspace = folder.path): Promise<RunResult> =>
    runBundle({ workspace, inputs: { mode: 'migrate', 'database-url': databaseUrl }, event, env });

  for (const [event, payload, what] of events)
    test(`row 148: ${event} is refused to write`, async () => {
      const result = await write({ GITHUB_EVENT_NAME: event }, payload);
      assert.equal(result.exitCode, 1);
      assert.match(result.log, new RegExp(`mode: "migrate" is refused on a ${what} from a fork`));
    });

  test('row 148: a comment that brings the commit of one is refused to write, before the database is asked', async () => {
    const origin = startOrigin({ 'supabase/migrations/1_a.sql': 'select 1;' });
    const checkout = temporaryFolder();
    try {
      origin.git('clone', '-q', origin.url, checkout.path);
      origin.git('-C', checkout.path, 'remote', 'set-url', 'origin', 'git@github.com:octocat/hotel.git');
      const sha = origin.head();
      origin.git('-C', checkout.path, 'commit', '-q', '--allow-empty', '-m', 'From a fork');
      const env = { GITHUB_EVENT_NAME: 'issue_comment', GITHUB_SHA: sha };
      const result = await write(env, { issue: { number: 7, pull_request: {} } }, checkout.path);
      assert.equal(result.exitCode, 1);
      assert.match(result.log, /^ +commit [0-9a-f]{12} is in no branch or tag of octocat\/hotel/m);
      assert.doesNotMatch(result.log, /password authentication failed/);
      assertOutputs(result, 'failure');
      assert.equal(result.outputs['failed-phase'], 'migrate');
    } finally {
      checkout.remove();
      origin.stop();
    }
  });
});
