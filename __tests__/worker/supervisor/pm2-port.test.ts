import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { judgePort } from '../../../src/worker/supervisor/pm2-look.js';

const OLD = 60_000;

describe('by which port an application is judged', () => {
  const judged = (
    app: Parameters<typeof judgePort>[0],
    more: Partial<Parameters<typeof judgePort>[1]> = {},
  ): string => {
    const way = judgePort(app, {
      port: undefined,
      held: [],
      entry: { mode: 'fork', env: {} },
      age: OLD,
      ...more,
    });
    return 'refusal' in way ? `${way.refusal.message} ${way.refusal.next}` : String(way.port);
  };
  const jobs = { appName: 'jobs' };
  const silent = { appName: 'jobs', portless: 'health-from' } as const;
  const cases: [string, string, RegExp][] = [
    ['PORT in its entry', judged(jobs, { port: 3000 }), /^3000$/],
    ['listens on nothing for long', judged(jobs), /^undefined$/],
    ['listens on nothing yet', judged(jobs, { age: 5_000 }), /is not known.*"app-name: jobs none"/],
    [
      'in cluster mode nobody can see it',
      judged(jobs, { entry: { mode: 'cluster', env: {} } }),
      /is not known/,
    ],
    ['listens on a port that nothing says', judged(jobs, { held: [4000] }), /is not known.*listens on 4000/],
    [
      'a Unix socket',
      judged(jobs, { entry: { mode: 'fork', env: { PORT: '/run/jobs.sock' } } }),
      /listens on the Unix socket \/run\/jobs\.sock/,
    ],
    ['named so', judged({ ...jobs, portless: 'named' }, { held: [9000], port: 9000 }), /^undefined$/],
    ['health-from: none', judged(silent), /^undefined$/],
    ['health-from: none, and it listens', judged(silent, { held: [4000] }), /"jobs" listens on port 4000/],
    ['health-from: none, and it has a PORT', judged(silent, { port: 3000 }), /"jobs" listens on port 3000/],
  ];
  for (const [name, told, expected] of cases)
    test(`row 168: ${name}`, () => {
      assert.match(told, expected);
    });
});
