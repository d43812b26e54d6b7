import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { type RequestListener, request } from 'node:http';
import { join } from 'node:path';
import { before, describe, test } from 'node:test';
import type { LogEntry } from '../../src/lib/log.js';
import type { PhaseReport } from '../../src/lib/report.js';
import { health, healthBaseline } from '../../src/pipeline/health.js';
import { redeploy } from '../../src/pipeline/redeploy.js';
import { settingsFor, withTools } from '../servers/deployment.js';
import { type AppFaults, appFiles, appVersion } from '../servers/fixture-app.js';
import { withHttpServer } from '../servers/http.js';
import { oneServer } from '../servers/one-server.js';

interface Deployed {
  phases: PhaseReport[];
  log: LogEntry[];
  /** What the application was asked in this deploy: `live /api/health 200`. */
  asked: string[];
}

describe('row 167: a deploy of an application that limits requests, asked through its proxy and over SSH', () => {
  const place = oneServer(appFiles('v0'));
  let countIn: string;
  before(() => {
    countIn = join(place.server.vps.root, 'requests.txt');
  });

  const pass: RequestListener = (incoming, outgoing) => {
    const onward = request({ port: place.server.vps.port, path: incoming.url }, (answer) => {
      outgoing.writeHead(answer.statusCode ?? 502, answer.headers);
      answer.pipe(outgoing);
    });
    onward.on('error', () => outgoing.writeHead(502).end());
    onward.end();
  };

  /** Does what the pipeline does: the look before, the redeploy, and health where that passed. */
  function deploy(version: string, faults: AppFaults = {}): Promise<Deployed> {
    const ref = place.origin.commit(appVersion(version, { countIn, ...faults }));
    writeFileSync(countIn, '');
    return withHttpServer(pass, async ({ url }) => {
      const settings = settingsFor([place.server], {
        mode: 'deploy',
        skip: 'database',
        ref,
        'health-url': url,
        'health-deadline': '20s',
        'health-timeout': '5s',
        'deploy-timeout': '120s',
      });
      return withTools(settings, async ({ work, servers, log }) => {
        const baseline = await healthBaseline(work);
        const phases = [await redeploy(servers)];
        if (phases[0]!.outcome === 'passed')
          phases.push(await health(work, { before: baseline, expectSha: ref }));
        return { phases, log, asked: readFileSync(countIn, 'utf8').trim().split('\n') };
      });
    });
  }

  const told = ({ phases, asked }: Deployed): string =>
    JSON.stringify([phases.map(({ outcome, problems }) => [outcome, problems]), asked]);

  test('row 167: the first deploy asks 60 times at most, and each script once from each place', async () => {
    // The version that counts is the one that is deployed: v0 does not.
    const done = await deploy('v1', { limit: 60 });
    assert.deepEqual(
      done.phases.map(({ outcome }) => outcome),
      ['passed', 'passed'],
      told(done),
    );
    assert.ok(done.asked.length <= 60, told(done));
    assert.deepEqual(
      done.asked.filter((line) => !line.endsWith(' 200')),
      [],
    );
    const scripts = done.asked.filter((line) => line.includes('/static/'));
    assert.deepEqual(scripts.sort(), ['live /static/app-v1.js 200', 'rehearsal /static/app-v1.js 200']);
    assert.match(
      JSON.stringify(done.log),
      /without an answer: the port was looked at every 20 ms; \d answers/,
    );
  });

  test('row 167: a version that is bad for a while and then good is deployed within its limit', async () => {
    const done = await deploy('v2', { limit: 45, healthStatus: 503, sickFor: 6_000 });
    assert.deepEqual(
      done.phases.map(({ outcome }) => outcome),
      ['passed', 'passed'],
      told(done),
    );
    assert.ok(done.asked.length <= 60, told(done));
    assert.ok(done.asked.some((line) => line.endsWith('/api/health 503')));
    assert.ok(!done.asked.some((line) => line.endsWith(' 429')), told(done));
  });

  test('row 167: one that stays bad is put back, by its reason', async () => {
    const done = await deploy('v4', { limit: 30, healthStatus: 500, onlyLive: true });
    assert.equal(done.phases[0]!.outcome, 'failed');
    assert.match(done.phases[0]!.problems[0]!.message, /\/api\/health: answers 500/);
    assert.equal(done.phases[0]!.facts.hosts?.[0]?.outcome, 'rolled-back', told(done));
    assert.equal((await place.server.vps.served())?.version, 'v2');
    assert.ok(done.asked.length <= 60, told(done));
  });

  test('row 167: one that others have used up is no bad version, and that is told', async () => {
    const done = await deploy('v3', { limit: 8 });
    assert.deepEqual(
      done.phases.map(({ outcome }) => outcome),
      ['passed', 'passed'],
      told(done),
    );
    assert.match(JSON.stringify(done.log), /could not be judged: it answers 429/);
  });
});
