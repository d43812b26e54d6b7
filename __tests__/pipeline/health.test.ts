import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { openDatabase } from '../../src/database/connection/open.js';
import { checkHealth } from '../../src/http/check-health.js';
import { judgeHealth } from '../../src/http/verdict.js';
import { type InputName, withEnvironment } from '../../src/inputs/input-sources.js';
import { parseSettings } from '../../src/inputs/read.js';
import type { Settings } from '../../src/inputs/settings.js';
import type { LogEntry } from '../../src/lib/log.js';
import type { HealthFact, PhaseReport } from '../../src/lib/report.js';
import { describeFact, type HealthPhaseOptions, health, healthBaseline } from '../../src/pipeline/health.js';
import { askEverything } from '../../src/pipeline/health-checks.js';
import type { Work } from '../../src/pipeline/tools.js';
import { DAY, makeCertificate } from '../servers/certificate.js';
import { freePort } from '../servers/free-port.js';
import { HEALTHY, HTML, JSON_TYPE, type Pages, serve, withHttpServer } from '../servers/http.js';
import { type PostgresServer, startPostgres } from '../servers/postgres.js';
import { workWith } from '../servers/work.js';

type Inputs = Partial<Record<InputName, string>>;

const QUICK: Inputs = { mode: 'health', 'health-timeout': '400ms', 'health-deadline': '900ms' };
/** Stands in headers, bodies and keys, and must not be found anywhere else. */
const CANARY = 'canary-7f3a91';

let postgres: PostgresServer;
before(async () => {
  postgres = await startPostgres();
});
after(() => postgres.stop());

interface Ran {
  report: PhaseReport;
  log: LogEntry[];
  milliseconds: number;
  /** Everything that a person or a machine gets to see. */
  seen: string;
  fact(name: string): HealthFact;
}

function settingsOf(inputs: Inputs): Settings {
  const parsed = parseSettings(
    withEnvironment((name) => ({ ...QUICK, ...inputs })[name] ?? '', {}),
    {
      run: { id: '1', attempt: 1, serverUrl: 'https://github.com', fork: false },
      terminal: false,
      workspace: '/work',
      holdsMigrations: () => false,
    },
  );
  assert.deepEqual(parsed.problems, []);
  return parsed.settings!;
}

async function withTools<T>(
  settings: Settings,
  work: (parts: Work, log: LogEntry[]) => Promise<T>,
  signal = new AbortController().signal,
): Promise<T> {
  const log: LogEntry[] = [];
  const database = settings.database && openDatabase(settings.database.connection);
  try {
    return await work(workWith(settings, { log: (entry) => log.push(entry), signal, database }), log);
  } finally {
    await database?.close();
  }
}

async function run(inputs: Inputs, options: HealthPhaseOptions = {}, signal?: AbortSignal): Promise<Ran> {
  const settings = settingsOf(inputs);
  return withTools(
    settings,
    async (work, log) => {
      const started = performance.now();
      const report = await health(work, options);
      return {
        report,
        log,
        milliseconds: performance.now() - started,
        seen: JSON.stringify([report, log]),
        fact: (name) => report.facts.health!.find((fact) => fact.name === name)!,
      };
    },
    signal,
  );
}

/** For what must turn out healthy: it ends as soon as it does, however busy the machine is. */
const PATIENT: Inputs = { 'health-timeout': '5s', 'health-deadline': '20s' };

function runOn(pages: Pages, inputs: Inputs = {}, options: HealthPhaseOptions = {}): Promise<Ran> {
  return withHttpServer(serve({ ...HEALTHY, ...pages }), ({ url }) =>
    run({ 'health-url': url, ...inputs }, options),
  );
}

function steps(report: PhaseReport): string[] {
  return report.steps.map(({ outcome, name }) => `${outcome} ${name}`);
}

describe('everything healthy', () => {
  test('every check is a step with status, latency and tries, and the facts become outputs', async () => {
    const { report, fact } = await runOn({}, { ...PATIENT, 'database-url': postgres.url });
    assert.equal(report.outcome, 'passed');
    assert.deepEqual(steps(report), ['passed database', 'passed /', 'passed /api/health', 'passed assets']);
    assert.match(
      report.steps[1]!.detail!,
      /^200 in \d+ ms \((dns \d+, )?connect \d+, first byte \d+\), \d+ tries$/,
    );
    assert.match(report.steps[0]!.detail!, /^in \d+ ms, \d+ tries$/);
    assert.deepEqual([report.facts.healthy, report.facts.verdict], [true, 'ok']);
    assert.equal(fact('database').attempts >= 2, true);
    assert.match(report.summary!, /^healthy after [\d.]+ m?s: 4 checks passed/);
  });

  test('where no health path is a page, it says that scripts and styles are not asked for', async () => {
    const { seen, report } = await runOn({}, { ...PATIENT, 'health-paths': '/api/health' });
    assert.deepEqual(steps(report), ['passed /api/health']);
    assert.match(seen, /scripts and styles are not asked for, as no health path is a page/);
    const { seen: all } = await runOn({}, PATIENT);
    assert.doesNotMatch(all, /are not asked for/);
  });

  test('only the database, where no URL is given', async () => {
    const { report } = await run({ ...PATIENT, 'database-url': postgres.url });
    assert.deepEqual(steps(report), ['passed database']);
    const { total } = report.facts.health![0]!.timings!;
    assert.equal(total, Number(total.toFixed(1)));
    assert.equal(report.facts.verdict, 'ok');
  });

  test('the project REST endpoint is asked with the key, which is seen nowhere', async () => {
    const keys: unknown[] = [];
    await withHttpServer(
      (request, response) => {
        keys.push(request.headers.apikey);
        response.setHeader('x-echo', CANARY);
        serve({ ...HEALTHY, '/rest/v1/': { type: JSON_TYPE, body: `{"key":"${CANARY}"}` } })(
          request,
          response,
        );
      },
      async ({ url }) => {
        const { report, seen } = await run({
          ...PATIENT,
          'health-url': url,
          'supabase-project-ref': 'abcdefghijklmnopqrst',
          'supabase-service-role-key': CANARY,
          'supabase-api-url': url,
        });
        assert.deepEqual(steps(report).slice(0, 1), ['passed supabase-rest']);
        assert.ok(keys.includes(CANARY));
        assert.ok(!seen.includes(CANARY));
      },
    );
  });

  test('slow is healthy, with a warning', async () => {
    const { report, log } = await runOn(
      {
        '/': (_request, response) => {
          setTimeout(() => response.end('hello'), 60);
        },
      },
      { ...PATIENT, 'health-max-latency': '50ms' },
    );
    assert.deepEqual([report.outcome, report.facts.healthy, report.facts.verdict], ['passed', true, 'slow']);
    const warning = log.find((entry) => entry.kind === 'warning');
    assert.match(
      warning?.kind === 'warning' ? warning.problem.message : '',
      /\/ is healthy but slow: \d+ ms/,
    );
  });
});

describe('whose fault it is', () => {
  test('row 108: a sick application is app, and nothing of its headers or body is seen', async () => {
    const { report, seen, milliseconds } = await runOn({
      '/': { type: HTML, headers: { 'x-key': CANARY }, body: `<p>${CANARY}` },
      '/api/health': {
        type: JSON_TYPE,
        headers: { 'set-cookie': CANARY },
        body: `{"status":"error","why":"${CANARY}"}`,
      },
    });
    assert.deepEqual([report.outcome, report.facts.healthy, report.facts.verdict], ['failed', false, 'app']);
    assert.match(
      report.problems[0]!.message,
      /^\/api\/health: answers 200, but its field "status" says "error"/,
    );
    assert.match(report.problems[0]!.next!, /own log/);
    assert.ok(!seen.includes(CANARY));
    assert.ok(milliseconds < 1_500, `verdict after ${milliseconds} ms`);
  });

  test('a database that is not there is database, by the deadline', async () => {
    const url = `postgresql://u:${CANARY}@127.0.0.1:${await freePort()}/x`;
    const { report, milliseconds, seen } = await runOn({}, { 'database-url': url });
    assert.deepEqual([report.outcome, report.facts.verdict], ['failed', 'database']);
    assert.match(report.problems[0]!.message, /^database: /);
    assert.ok(milliseconds < 2_000, `verdict after ${milliseconds} ms`);
    assert.ok(!seen.includes(CANARY));
  });

  test('a wrong password is tried once', async () => {
    const wrong = postgres.url.replace(/:[^:@]+@/, `:${CANARY}@`);
    const { report, fact, seen } = await runOn({}, { ...PATIENT, 'database-url': wrong });
    assert.equal(fact('database').attempts, 1);
    assert.equal(report.facts.verdict, 'database');
    assert.ok(report.milliseconds < 5_000);
    assert.ok(!seen.includes(CANARY));
  });

  test('a refused service key is database, and says so', async () => {
    const { report } = await withHttpServer(serve({ ...HEALTHY, '/rest/v1/': { status: 401 } }), ({ url }) =>
      run({
        'health-url': url,
        'supabase-project-ref': 'abcdefghijklmnopqrst',
        'supabase-service-role-key': CANARY,
        'supabase-api-url': url,
      }),
    );
    assert.equal(report.facts.verdict, 'database');
    assert.match(report.problems[0]!.message, /supabase-rest: answers 401: the service key is not accepted/);
    assert.match(report.problems[0]!.next!, /Check supabase-service-role-key/);
  });

  test('row 112: an expired certificate is edge, says days, and does not wait for the deadline', async () => {
    const tls = makeCertificate({
      notBefore: new Date(Date.now() - 60 * DAY),
      notAfter: new Date(Date.now() - 3.5 * DAY),
    });
    const { report } = await withHttpServer(
      serve(HEALTHY),
      ({ url }) => run({ 'health-url': url, 'health-deadline': '30s' }),
      { tls },
    );
    assert.deepEqual([report.outcome, report.facts.verdict], ['failed', 'edge']);
    assert.match(report.problems[0]!.message, /^certificate: the TLS certificate expired 3 days ago/);
    assert.match(report.problems[0]!.next!, /TLS certificate and the proxy/);
    assert.ok(report.milliseconds < 5_000, `verdict after ${report.milliseconds} ms`);
  });

  test('good on the loopback of the server and bad through the proxy is edge', async () => {
    await withHttpServer(serve(HEALTHY), async (app) => {
      await withHttpServer(
        (_request, response) => response.writeHead(502).end(),
        async (proxy) => {
          const settings = settingsOf({ 'health-url': proxy.url });
          const { facts } = await withTools(settings, (work) =>
            askEverything(work, {
              outside: proxy.url,
              inside: () => checkHealth({ baseUrl: app.url, from: 'vps' }, settings.health),
            }),
          );
          assert.equal(facts.length, 6);
          const judgement = judgeHealth(facts, [], {});
          assert.equal(judgement.verdict, 'edge');
          assert.match(judgement.problems[0]!.next!, /new version is left serving/);
        },
      );
    });
  });

  test('of several URLs each is asked, and the one that fails is named', async () => {
    await withHttpServer(serve(HEALTHY), async (first) => {
      await withHttpServer(serve({ ...HEALTHY, '/': { status: 503 } }), async (second) => {
        const urls = `${first.url}\n${second.url}/, ${first.url}`;
        const { report } = await run({ 'health-url': urls, 'check-assets': 'false' });
        const at = second.url;
        assert.deepEqual(
          report.facts.health?.map(({ name, ok }) => [name, ok]),
          [
            ['/', true],
            ['/api/health', true],
            [`${at} /`, false],
            [`${at} /api/health`, true],
          ],
        );
        assert.deepEqual(
          report.problems.map(({ message }) => message.split(':').slice(0, 3).join(':')),
          [`${at} /`],
        );
      });
    });
    const parsed = parseSettings(
      withEnvironment(
        (name) => ({ ...QUICK, 'health-url': 'https://a.example, ftp://b.example' })[name as 'mode'] ?? '',
        {},
      ),
      {
        run: { id: '1', attempt: 1, serverUrl: 'https://github.com', fork: false },
        terminal: false,
        workspace: '/work',
        holdsMigrations: () => false,
      },
    );
    assert.match(parsed.problems[0]?.message ?? '', /^health-url: entry 2 is not an http or https URL/);
    const warned = judgeHealth(
      [
        {
          name: 'b.example certificate',
          from: 'runner',
          ok: true,
          status: null,
          'latency-ms': null,
          attempts: 1,
          'days-left': 3,
          detail: 'valid for 3 more days',
        },
      ],
      [],
      {},
    );
    assert.equal(warned.warnings[0]?.message, 'the TLS certificate of b.example is valid for 3 more days');
  });

  test('a server that cannot be asked over SSH is a warning where the URL answers', async () => {
    await withHttpServer(serve(HEALTHY), async ({ url }) => {
      const settings = settingsOf({ ...PATIENT, 'health-url': url });
      await withTools(settings, async (work, log) => {
        const inside = () => Promise.reject(new Error('no route'));
        const { facts } = await askEverything(work, { outside: url, inside });
        assert.ok(facts.every((fact) => fact.ok && fact.from === 'runner'));
        assert.match(JSON.stringify(log), /could not be asked on the server: no route/);
        await assert.rejects(askEverything(work, { inside }), /no route/);
      });
    });
  });
});

describe('what was so before', () => {
  test('what failed before is not blamed on this run', async () => {
    await withHttpServer(serve({ ...HEALTHY, '/api/health': { status: 503 } }), async ({ url }) => {
      const settings = settingsOf({ 'health-url': url });
      const found = await withTools(settings, (work) => healthBaseline(work));
      assert.deepEqual(
        found.map(({ name, ok }) => [name, ok]),
        [
          ['/', true],
          ['/api/health', false],
          ['assets', true],
        ],
      );
      const { report } = await run({ 'health-url': url }, { before: found });
      assert.match(report.problems[0]!.message, /failed before this run too/);
    });
  });

  test('the look before asks for no version, takes three seconds at most and says nothing', async () => {
    await withHttpServer(serve(HEALTHY), async ({ url }) => {
      const settings = settingsOf({ ...PATIENT, 'health-url': url, 'expect-version': 'not yet' });
      await withTools(settings, async (work, log) => {
        const found = await healthBaseline(work);
        assert.ok(found.every((fact) => fact.ok));
        assert.deepEqual(log, []);
      });
    });
    const dead = settingsOf({
      'health-url': `http://127.0.0.1:${await freePort()}`,
      'health-deadline': '60s',
      'health-timeout': '30s',
    });
    const started = performance.now();
    const found = await withTools(dead, (work) => healthBaseline(work));
    assert.ok(found.length === 3 && found.every((fact) => !fact.ok));
    assert.ok(performance.now() - started < 4_000);
  });

  test('the look before does not queue behind the plan: a database that fails later is blamed', async () => {
    await withHttpServer(serve(HEALTHY), async ({ url }) => {
      const settings = settingsOf({ 'health-url': url, 'database-url': postgres.url });
      const [, found] = await withTools(settings, (work) =>
        Promise.all([
          work.database!.database.send('select pg_sleep(4)', { deadline: 30_000 }),
          healthBaseline(work),
        ]),
      );
      assert.deepEqual(
        found.filter((fact) => !fact.ok),
        [],
      );
      const gone = { 'database-url': `postgresql://u@127.0.0.1:${await freePort()}/x` };
      const { report } = await run({ 'health-url': url, ...gone }, { before: found });
      assert.equal(report.facts.verdict, 'database');
      assert.doesNotMatch(report.problems[0]!.message, /failed before/);
    });
  });

  test('an answer slower than the look before, and not than health-timeout, is no failure before', async () => {
    const slowly: Pages[string] = (_request, response) => {
      setTimeout(() => response.end('{"status":"ok"}'), 3_500);
    };
    await withHttpServer(serve({ ...HEALTHY, '/api/health': slowly }), async ({ url }) => {
      const settings = settingsOf({ 'health-url': url, ...PATIENT });
      const found = await withTools(settings, (work) => healthBaseline(work));
      assert.deepEqual(
        found.map(({ name, ok }) => [name, ok]),
        [
          ['/', true],
          ['assets', true],
        ],
      );
    });
  });

  test('one good answer is enough for the look before, whatever comes after it', async () => {
    let asked = 0;
    const falls: Pages[string] = (_request, response) => {
      response.statusCode = asked++ === 0 ? 200 : 502;
      response.end();
    };
    await withHttpServer(
      serve({ ...HEALTHY, '/': falls, '/api/health': { status: 503 } }),
      async ({ url }) => {
        const settings = settingsOf({ 'health-url': url, 'check-assets': 'false', ...PATIENT });
        const found = await withTools(settings, (work) => healthBaseline(work));
        assert.deepEqual(
          found.map(({ name, ok }) => [name, ok]),
          [
            ['/', true],
            ['/api/health', false],
          ],
        );
      },
    );
  });

  test('the deployed commit is expected of an application that names its own', async () => {
    const pages = { '/api/health': { type: JSON_TYPE, body: `{"commit":"${'b'.repeat(40)}"}` } };
    const wrong = await runOn(pages, {}, { expectSha: 'a'.repeat(40) });
    assert.match(wrong.report.problems[0]!.message, /as commit bbbbbbb instead of aaaaaaa/);
    assert.equal((await runOn(pages, PATIENT, { expectSha: 'b'.repeat(40) })).report.outcome, 'passed');
    assert.equal((await runOn(pages, PATIENT, { expectSha: 'main' })).report.outcome, 'passed');
  });
});

test('nothing to ask is a failure that says what is missing, and the next action', async () => {
  const { url: _none, ...rest } = settingsOf({ 'health-url': 'http://127.0.0.1:1' }).health;
  for (const [from, said, next] of [
    ['vps', /health-from is vps, and no server is given/, /Give ssh-host/],
    ['runner', /health-from is runner, and health-url is empty/, /Set health-url/],
    ['both', /no database, no health-url and no server is given/, /Set health-url/],
  ] as const) {
    const settings: Settings = {
      ...settingsOf({ 'health-url': 'http://127.0.0.1:1' }),
      health: { ...rest, from },
    };
    const report = await withTools(settings, (work) => health(work));
    assert.equal(report.outcome, 'failed');
    assert.match(report.problems[0]!.message, said);
    assert.match(report.problems[0]!.next!, next);
  }
});

test('a cancel ends the phase at once', async () => {
  const controller = new AbortController();
  setTimeout(() => controller.abort(), 100);
  const { report } = await run(
    { 'health-url': `http://127.0.0.1:${await freePort()}`, 'health-deadline': '60s' },
    {},
    controller.signal,
  );
  assert.deepEqual([report.outcome, report.cancelled, report.problems], ['failed', true, []]);
  assert.ok(report.milliseconds < 2_000);
});

test('a fact in words', () => {
  const fact: HealthFact = {
    name: '/',
    from: 'runner',
    ok: true,
    status: 200,
    'latency-ms': 38,
    attempts: 1,
    timings: { dns: 2.4, connect: 3, tls: 12.6, 'first-byte': 20, total: 38 },
  };
  assert.equal(describeFact(fact), '200 in 38 ms (dns 2, connect 3, tls 13, first byte 20), 1 try');
});
