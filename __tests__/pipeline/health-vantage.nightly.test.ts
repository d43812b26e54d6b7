import assert from 'node:assert/strict';
import { type RequestListener, request } from 'node:http';
import { after, before, describe, test } from 'node:test';
import type { LogEntry } from '../../src/lib/log.js';
import type { HealthFact, PhaseReport } from '../../src/lib/report.js';
import { health, healthBaseline } from '../../src/pipeline/health.js';
import { DAY, makeCertificate } from '../servers/certificate.js';
import { type Inputs, makeReachable, type Reachable, settingsFor, withTools } from '../servers/deployment.js';
import { appFiles } from '../servers/fixture-app.js';
import { type HttpServerOptions, withHttpServer } from '../servers/http.js';
import { type Origin, startOrigin } from '../servers/origin.js';
import { startVps } from '../servers/vps.js';

interface Seen {
  report: PhaseReport;
  log: LogEntry[];
  baseline: HealthFact[];
}

describe('an application behind a proxy, asked through the proxy and over SSH', () => {
  let origin: Origin;
  let server: Reachable;
  before(async () => {
    origin = startOrigin(appFiles('v0'));
    server = await makeReachable(await startVps(origin));
  });
  after(async () => {
    await server?.stop();
    origin?.stop();
  });

  /** What nginx in front of the application does. */
  const pass: RequestListener = (incoming, outgoing) => {
    const onward = request(
      { port: server.vps.port, path: incoming.url, headers: incoming.headers },
      (answer) => {
        outgoing.writeHead(answer.statusCode ?? 502, answer.headers);
        answer.pipe(outgoing);
      },
    );
    onward.on('error', () => outgoing.writeHead(502).end());
    onward.end();
  };

  /** Takes the look before, calls `change`, then runs the phase. */
  function run(
    proxy: RequestListener,
    options: { inputs?: Inputs; tls?: HttpServerOptions['tls']; change?: () => Promise<unknown> } = {},
  ): Promise<Seen> {
    const tls = options.tls === undefined ? {} : { tls: options.tls };
    return withHttpServer(
      proxy,
      ({ url }) => {
        const settings = settingsFor([server], {
          mode: 'health',
          'health-url': url,
          'health-deadline': '3s',
          ...options.inputs,
        });
        return withTools(
          settings,
          async ({ work, log }) => {
            const baseline = await healthBaseline(work);
            await options.change?.();
            return { report: await health(work, { before: baseline }), log, baseline };
          },
          { patience: 500 },
        );
      },
      tls,
    );
  }

  test('good from both places is ok', async () => {
    const { report, baseline } = await run(pass);
    assert.deepEqual(
      report.steps.map(({ outcome, name }) => `${outcome} ${name}`),
      [
        'passed /',
        'passed /api/health',
        'passed assets',
        'passed / on the server',
        'passed /api/health on the server',
        'passed assets on the server',
      ],
    );
    assert.equal(report.facts.verdict, 'ok');
    // The paths from both places; scripts and styles are asked for once a version, and not before a deploy.
    assert.equal(baseline.filter((fact) => fact.ok).length, 4);
  });

  test('a proxy that does not reach the application is edge, and nothing is blamed on the code', async (t) => {
    let broken = false;
    const { report } = await run(
      (incoming, outgoing) => (broken ? outgoing.writeHead(502).end() : pass(incoming, outgoing)),
      {
        change: async () => {
          broken = true;
        },
      },
    );
    assert.deepEqual([report.outcome, report.facts.verdict, report.facts.healthy], ['failed', 'edge', false]);
    assert.match(report.problems[0]!.next!, /DNS, the TLS certificate and the proxy.*left serving/);
    t.diagnostic(`verdict edge after ${report.milliseconds} ms, deadline 3 s`);
  });

  test('a proxy that serves the styles and scripts of another build is edge', async () => {
    const { report } = await run((incoming, outgoing) =>
      incoming.url?.startsWith('/static/') ? outgoing.writeHead(404).end() : pass(incoming, outgoing),
    );
    assert.equal(report.facts.verdict, 'edge');
    assert.match(report.problems[0]!.message, /^assets: 1 of 1: \/static\/app-v0\.js answers 404/);
  });

  test('row 112: an expired certificate in front of a good application is edge, with days', async (t) => {
    const tls = makeCertificate({
      notBefore: new Date(Date.now() - 99 * DAY),
      notAfter: new Date(Date.now() - 9.5 * DAY),
    });
    const { report } = await run(pass, { tls, inputs: { 'health-deadline': '30s' } });
    assert.equal(report.facts.verdict, 'edge');
    assert.match(report.problems[0]!.message, /expired 9 days ago/);
    t.diagnostic(`verdict edge after ${report.milliseconds} ms, deadline 30 s`);
  });

  test('where only the server is asked, a broken proxy does not matter', async () => {
    const { report } = await run((_incoming, outgoing) => outgoing.writeHead(502).end(), {
      inputs: { 'health-from': 'vps' },
    });
    assert.equal(report.facts.verdict, 'ok');
    assert.equal(report.steps.length, 3);
  });

  test('an application that stops is app, from both places', async (t) => {
    const { appName } = server.vps;
    try {
      const { report } = await run(pass, { change: () => server.vps.run(`pm2 stop ${appName}`) });
      assert.deepEqual([report.outcome, report.facts.verdict], ['failed', 'app']);
      assert.match(report.problems[0]!.next!, new RegExp(`pm2 logs ${appName}`));
      t.diagnostic(`verdict app after ${report.milliseconds} ms, deadline 3 s`);
    } finally {
      await server.vps.run(`pm2 start ${appName}`);
    }
  });
});
