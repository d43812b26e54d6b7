import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { describe, test } from 'node:test';
import { checkEnvText } from '../../src/lib/env-text.js';
import type { Problem } from '../../src/lib/report.js';
import { recipeOf } from '../../src/worker/build/build-commands.js';
import { missingOutput } from '../../src/worker/build/build-output.js';
import { rehearsalCommand, rehearsalObstacle, secondPort } from '../../src/worker/build/rehearse.js';
import { judgeFreeSpace } from '../../src/worker/host/free-space.js';
import {
  fetchAttempts,
  httpsForm,
  isGitSince,
  isMissingCommit,
  porcelainPaths,
  tokenEnvironment,
} from '../../src/worker/host/git.js';
import { ageOf, listeningInodes } from '../../src/worker/host/processes.js';
import { explainEnd, lastLines } from '../../src/worker/host/run-program.js';
import { managedFolders, openToolbox } from '../../src/worker/host/toolbox.js';
import { isEnvFile } from '../../src/worker/host-files/classify.js';
import { type EnvRun, judgeHostEnvFiles } from '../../src/worker/host-files/env-files.js';
import type { HostFacts } from '../../src/worker/protocol.js';
import { strategyFor } from '../../src/worker/state/layout.js';
import { choosePlace, statePlaces } from '../../src/worker/state/state-folder.js';
import { supervisorOf } from '../../src/worker/supervisor/choice.js';
import { portOf, withPort } from '../../src/worker/supervisor/entry.js';
import { entryIn, noticesIn, type Pm2Entry, reloadLimit } from '../../src/worker/supervisor/pm2-client.js';
import { argumentWords } from '../../src/worker/supervisor/pm2-config.js';
import { startEnvironment } from '../../src/worker/supervisor/pm2-ecosystem.js';
import { longerListenTimeout } from '../../src/worker/supervisor/pm2-restart.js';
import { entryRefusals, entryTraps } from '../../src/worker/supervisor/pm2-traps.js';
import { judgeInstances, untilStable } from '../../src/worker/supervisor/pm2-watch.js';
import { startOf, unwrapped } from '../../src/worker/supervisor/start-command.js';
import { until } from '../servers/until.js';

const entry = (more: Partial<Pm2Entry> = {}): Pm2Entry => ({
  mode: 'cluster',
  cwd: '/var/www/app',
  script: '/var/www/app/server.js',
  args: [],
  nodeArgs: [],
  interpreter: 'node',
  waitReady: false,
  watch: false,
  killTimeout: 10_000,
  env: { PORT: '3000', DATABASE_URL: 'postgres://secret' },
  instances: [],
  ...more,
});

describe('the PM2 entry', () => {
  const listed = (name: string, id: number, more: object = {}) => ({
    name,
    pm_id: id,
    pid: 100 + id,
    pm2_env: {
      status: 'online',
      restart_time: id,
      exec_mode: 'cluster_mode',
      pm_cwd: '/var/www/app',
      pm_exec_path: '/var/www/app/server.js',
      args: ['-p', '3000'],
      env: { PORT: '3000', pm_id: 1, PM2_HOME: '/x', NODE_APP_INSTANCE: 0, KEY: 'value' },
      ...more,
    },
  });

  test('is read out of noise, with all its instances, and without what PM2 adds to the environment', () => {
    const list = JSON.stringify([listed('app', 0), listed('app', 1), listed('shop', 2)]);
    const found = entryIn(`[PM2] Spawning PM2 daemon\n>>>> In-memory PM2 is out-of-date\n${list}\n`, 'app')!;
    assert.deepEqual(
      found.instances.map(({ pid, restarts }) => [pid, restarts]),
      [
        [100, 0],
        [101, 1],
      ],
    );
    assert.deepEqual(found.env, { PORT: '3000', KEY: 'value' });
    assert.equal(found.mode, 'cluster');
    assert.equal(entryIn(list, 'nobody'), undefined);
  });

  test('row 99: an answer that is no list is said so', () => {
    assert.throws(() => entryIn('[PM2][ERROR] permission denied\n', 'app'), /did not answer with a list/);
  });

  test('row 129: no value of the list gets into a message', () => {
    const cut =
      '"KEY":"secret","A":1}}]\n[PM2][ERROR] daemon out of date\n[{"name":"app","pm2_env":{"KEY":"secret"}}';
    assert.equal(noticesIn(cut), '[PM2][ERROR] daemon out of date');
  });

  test('its port stands in the arguments or in PORT, and is replaced where it stands', () => {
    assert.equal(portOf({ env: {}, args: ['start', '-p', '3001'] }), 3_001);
    assert.equal(portOf({ env: { PORT: '3000' }, args: ['--port=3002'] }), 3_002);
    assert.equal(portOf({ env: { PORT: '3000' }, args: [] }), 3_000);
    assert.equal(portOf({ env: { PORT: 'unix' }, args: ['-p'] }), undefined);
    assert.deepEqual(withPort(['start', '-p', '3000', '-H', '3000'], 4_000), [
      'start',
      '-p',
      '4000',
      '-H',
      '3000',
    ]);
    assert.deepEqual(withPort(['--port=3000', '-p3000', '--port', '3000'], 4), [
      '--port=4',
      '-p4',
      '--port',
      '4',
    ]);
  });

  const traps = (more: Partial<Pm2Entry>, next = false): string =>
    entryTraps(entry(more), { appName: 'app', appPath: '/var/www/app', next, layout: 'in-place' })
      .map(({ message, next }) => `${message} ${next}`)
      .join('\n');
  test('its traps are named, each with the fix', () => {
    assert.equal(traps({}), '');
    assert.match(traps({ mode: 'fork' }), /fork mode.*-i 1/);
    assert.match(
      traps({ mode: 'fork', script: '/var/www/app/node_modules/.bin/nuxt', interpreter: 'none' }),
      /fork mode.*the script behind nuxt/,
    );
    assert.match(traps({ script: '/usr/bin/pnpm' }), /runs pnpm in cluster mode/);
    assert.match(
      traps({ script: '/usr/bin/npm', mode: 'fork' }, true),
      /runs npm, not the application.*next\/dist\/bin\/next/,
    );
    assert.match(traps({ waitReady: true }, true), /wait_ready/);
    assert.equal(traps({ waitReady: true }), '');
    assert.match(traps({ killTimeout: 1_600 }), /kill_timeout is 1600 ms/);
    assert.match(traps({ watch: true }), /watch is on/);
  });

  test('one that boots slowly gets a longer listen_timeout for the reload', () => {
    const slow = { mode: 'cluster' } as const;
    const table: [Parameters<typeof longerListenTimeout>, number | undefined][] = [
      [[slow, 900, 60_000], undefined],
      [[slow, 1_500, 60_000], undefined],
      [[slow, 1_501, 60_000], 7_000],
      [[slow, 5_000, 60_000], 20_000],
      [[slow, 40_000, 60_000], 60_000],
      [[{ ...slow, listenTimeout: 10_000 }, 5_000, 60_000], undefined],
      [[{ ...slow, listenTimeout: 8_000 }, 5_000, 60_000], 20_000],
      [[{ ...slow, listenTimeout: 90_000 }, 50_000, 60_000], undefined],
      [[{ mode: 'fork' }, 5_000, 60_000], undefined],
      [[slow, undefined, 60_000], undefined],
      [[undefined, 5_000, 60_000], undefined],
    ];
    for (const [given, expected] of table)
      assert.equal(longerListenTimeout(...given), expected, JSON.stringify(given));
  });

  test('a reload is given more time where many instances boot and drain slowly', () => {
    const instances = Array.from({ length: 16 }, (_, id) => ({ id, pid: id, status: 'online', restarts: 0 }));
    assert.equal(reloadLimit({ instances: instances.slice(0, 2) }), 120_000);
    assert.equal(reloadLimit({ instances, killTimeout: 10_000 }), 416_000);
    assert.equal(reloadLimit({ instances, killTimeout: 10_000 }, 20_000), 960_000);
  });

  test('an entry pinned to one release, or of another application, is refused', () => {
    const refusals = (cwd: string, layout: 'in-place' | 'releases'): string =>
      entryRefusals(entry({ cwd }), { appName: 'app', appPath: '/var/www/app', next: false, layout })
        .map(({ message }) => message)
        .join();
    assert.equal(refusals('/var/www/app/packages/web', 'in-place'), '');
    assert.match(refusals('/var/www/.app.deploy/releases/1', 'releases'), /pinned to one release/);
    assert.match(refusals('/var/www/application', 'in-place'), /not below app-path/);
  });

  test('is rehearsed with its own script, arguments and environment on the spare port', () => {
    const from = { live: ['/var/www/app'], stage: '/stage', port: 4_000, node: '/usr/bin/node' };
    const next = entry({
      script: '/var/www/app/node_modules/next/dist/bin/next',
      args: ['start', '-p', '3000'],
      nodeArgs: ['--no-warnings'],
    });
    assert.deepEqual(rehearsalCommand(next, from), {
      words: [
        '/usr/bin/node',
        '--no-warnings',
        '/stage/node_modules/next/dist/bin/next',
        'start',
        '-p',
        '4000',
      ],
      cwd: '/stage',
      env: { PORT: '4000', DATABASE_URL: 'postgres://secret', REHEARSAL: '1', NODE_APP_INSTANCE: '0' },
    });
    const pnpm = rehearsalCommand(
      entry({ script: '/usr/bin/pnpm', interpreter: 'none', args: ['start'] }),
      from,
    );
    assert.deepEqual(pnpm.words, ['/usr/bin/pnpm', 'start']);
  });
});

describe('what stands in the way of a rehearsal', () => {
  const obstacle = (
    entry: Parameters<typeof rehearsalObstacle>[2],
    asked: { rehearse?: boolean; restartCommand?: string } = {},
  ): string | undefined => {
    const { rehearse = true, ...more } = asked;
    const app = { appPath: '/var/www/app', appName: 'app', adoptEnvironment: false, ...more };
    return rehearsalObstacle(rehearse, supervisorOf(openToolbox({}), { ...app, strategy: 'auto' }), entry);
  };
  const rows: [string, string | undefined, RegExp | undefined][] = [
    ['nothing', obstacle({ args: [], env: { PORT: '1' } }), undefined],
    ['nothing, its port is an argument', obstacle({ args: ['-p', '1'], env: {} }), undefined],
    ['a port that cannot be moved', obstacle({ args: ['start'], env: {} }), /neither in PORT/],
    ['another supervisor', obstacle(undefined, { restartCommand: 'x' }), /restart-command/],
    ['a wish', obstacle({ args: [], env: { PORT: '1' } }, { rehearse: false }), /rehearse is false/],
    ['nothing that is known before the first start', obstacle(undefined), undefined],
  ];
  for (const [name, said, wanted] of rows)
    test(name, () => (wanted ? assert.match(said ?? '', wanted) : assert.equal(said, undefined)));
});

test('a port that the live version has too is named, with the way around it', () => {
  assert.match(
    secondPort('Error: listen EADDRINUSE: address already in use :::9229')!,
    /REHEARSAL=1.*rehearse: false/,
  );
  assert.equal(secondPort('Error: cannot find module'), undefined);
});

describe('after a restart', () => {
  const one = (pid: number, restarts = 1, status = 'online') => [{ id: 0, pid, restarts, status }];
  const rows: [string, ReturnType<typeof one>, ReturnType<typeof one>, RegExp | undefined][] = [
    ['a new, steady program', one(2), one(2), undefined],
    ['row 100: a restart between two looks that both say online', one(2), one(3, 2), /it crashes/],
    ['row 100: PM2 gave it up', one(2), one(2, 1, 'errored'), /is errored/],
    ['row 101: still the old program', one(1), one(1), /still the old program/],
    ['PM2 has lost it', one(2), [], /does not know/],
  ];
  for (const [name, first, second, wrong] of rows)
    test(name, () => {
      const said = judgeInstances(one(1, 0), first, second);
      if (wrong) assert.match(said ?? '', wrong);
      else assert.equal(said, undefined);
    });
});

describe('a stable start', () => {
  test('is waited for until the youngest instance has run for min_uptime', () => {
    assert.equal(untilStable([5_000, 400], 300, 1_000), 600);
    assert.equal(untilStable([5_000, undefined], 300, 1_000), 700, 'its age is not known');
    assert.equal(untilStable([1_200], 300, 1_000), 0);
    assert.equal(untilStable([], 300, 1_000), 0);
  });

  test('is timed by the age of the program, whatever the clock says', async () => {
    const started = performance.now();
    const child = spawn('/bin/sleep', ['30']);
    try {
      const first = ageOf(child.pid!)!;
      assert.ok(first >= 0 && first <= performance.now() - started + 20, String(first));
      await until('it to be 200 ms old', () => ageOf(child.pid!)! >= 200);
      assert.ok(performance.now() - started >= 180);
    } finally {
      child.kill('SIGKILL');
    }
    assert.equal(ageOf(2 ** 22 + 1), undefined);
  });
});

describe('install and build', () => {
  const recipe = (files: string[], packageJson = {}, given = {}): string => {
    const { install, build, refusal } = recipeOf(
      { files: new Set(files), packageJson },
      { install: undefined, build: undefined, ...given },
    );
    return refusal ? 'refused' : `${install ?? '-'} / ${build ?? '-'}`;
  };
  const scripts = { build: 'x' };
  const dependencies = { a: '1' };
  const rows: [string, string, string][] = [
    [
      'pnpm',
      recipe(['pnpm-lock.yaml'], { scripts }),
      'pnpm install --frozen-lockfile --prefer-offline / pnpm run build',
    ],
    [
      'npm',
      recipe(['package-lock.json'], { scripts }),
      'npm ci --prefer-offline --no-audit --no-fund / npm run build',
    ],
    ['yarn of an unknown version', recipe(['yarn.lock'], {}), 'yarn install --frozen-lockfile / -'],
    [
      'yarn 1',
      recipe(['yarn.lock'], { packageManager: 'yarn@1.22.22' }),
      'yarn install --frozen-lockfile --prefer-offline / -',
    ],
    ['yarn 4', recipe(['yarn.lock', '.yarnrc.yml'], {}), 'yarn install --immutable / -'],
    ['bun', recipe(['bun.lock'], { scripts }), 'bun install --frozen-lockfile / bun run build'],
    [
      'two lock files: packageManager decides',
      recipe(['pnpm-lock.yaml', 'package-lock.json'], { packageManager: 'npm@10.0.0' }),
      'npm ci --prefer-offline --no-audit --no-fund / -',
    ],
    ['dependencies without a lock file', recipe([], { dependencies, scripts }), 'refused'],
    ['nothing to install', recipe([], { scripts }), '- / npm run build'],
    [
      'given commands win',
      recipe(['pnpm-lock.yaml'], { scripts }, { install: 'make deps', build: 'make' }),
      'make deps / make',
    ],
  ];
  for (const [name, got, wanted] of rows) test(name, () => assert.equal(got, wanted));

  test('row 95: what a build must have made', () => {
    assert.deepEqual(missingOutput(['dist', 'node_modules'], ['dist'], false), []);
    assert.deepEqual(missingOutput(['node_modules'], ['dist', 'uploads'], false), ['dist']);
    assert.deepEqual(missingOutput(['node_modules'], [], true), ['.next']);
  });

  test('rows 87, 95: how a program ended, in words', () => {
    assert.match(explainEnd({ code: null, signal: 'SIGKILL' }), /memory ran out/);
    assert.match(explainEnd({ code: 137, signal: null }), /memory ran out/);
    assert.match(explainEnd({ code: 127, signal: null }), /not found/);
    assert.equal(explainEnd({ code: 2, signal: null }), 'ended with 2');
    assert.equal(lastLines('a\n\nb  \n\n', 1), 'b');
  });
});

describe('the first start', () => {
  const kinds: [string, ReturnType<typeof startOf>][] = [
    ['node dist/main.js --x', { kind: 'node', script: 'dist/main.js', args: ['--x'], env: {} }],
    [
      'NODE_ENV=production PORT=3000 node server.js',
      { kind: 'node', script: 'server.js', args: [], env: { NODE_ENV: 'production', PORT: '3000' } },
    ],
    [
      'cross-env NODE_ENV=production next start',
      { kind: 'program', file: 'next', args: ['start'], env: { NODE_ENV: 'production' } },
    ],
    ['next start -p 3000', { kind: 'program', file: 'next', args: ['start', '-p', '3000'], env: {} }],
    ['node --inspect x.js', { kind: 'program', file: 'node', args: ['--inspect', 'x.js'], env: {} }],
    ['env', { kind: 'program', file: 'env', args: [], env: {} }],
    ['A=1', { kind: 'shell', command: 'A=1' }],
    ['node a && node b', { kind: 'shell', command: 'node a && node b' }],
    ['node "a b.js"', { kind: 'shell', command: 'node "a b.js"' }],
  ];
  for (const [command, start] of kinds)
    test(`takes apart: ${command}`, () => assert.deepEqual(startOf(command), start));

  test('looks behind npm start, as far as scripts lead on', () => {
    assert.equal(unwrapped('pnpm start', { start: 'next start' }), 'next start');
    assert.equal(unwrapped('npm run serve', { serve: 'node x' }), 'node x');
    assert.equal(unwrapped('npm start', { start: 'npm run start:prod', 'start:prod': 'node x' }), 'node x');
    assert.equal(unwrapped('npm start', { start: 'npm start' }), 'npm start');
    assert.equal(unwrapped('npm run gone', {}), 'npm run gone');
    assert.equal(unwrapped('npm start', { start: 'node x', prestart: 'prepare' }), 'npm start');
  });
  test('reads arguments as PM2 does', () => {
    assert.deepEqual(argumentWords(`start --title "a b" 'c d'`), ['start', '--title', 'a b', 'c d']);
    assert.deepEqual([argumentWords(['a b', 1]), argumentWords(undefined)], [['a b', '1'], []]);
  });
  test('takes the block of an ecosystem file that is named after the environment, over env', () => {
    const app = {
      env: { PORT: 1, MODE: 'any' },
      env_production: { MODE: 'live' },
      env_staging: { MODE: 'try' },
    };
    assert.deepEqual(startEnvironment(app, 'production'), {
      env: { PORT: 1, MODE: 'live' },
      used: 'env_production',
      unused: ['env_staging'],
    });
    const none = { env: { PORT: 1, MODE: 'any' }, unused: ['env_production', 'env_staging'] };
    assert.deepEqual(startEnvironment(app, undefined), none);
    assert.deepEqual(startEnvironment(app, 'demo'), none);
    assert.deepEqual(startEnvironment({}, 'production'), { env: {}, unused: [] });
    assert.deepEqual(startEnvironment({ env_production: { A: '1' } }, 'production').env, { A: '1' });
  });
});

describe('git', () => {
  test('addresses are tried with the own access first, then https with the token', () => {
    const fetchAccess = { server: 'https://github.com', token: 't' };
    assert.deepEqual(fetchAttempts('git@github.com:o/r.git', { fetchAccess }), [
      { url: 'git@github.com:o/r.git' },
      { url: 'https://github.com/o/r.git', token: 't' },
    ]);
    assert.deepEqual(fetchAttempts('/srv/r.git', { fetchAccess }), [{ url: '/srv/r.git' }]);
    assert.deepEqual(fetchAttempts(undefined, {}), []);
    assert.equal(httpsForm('ssh://git@host:22/o/r'), 'https://host/o/r');
  });
  test('what a person names comes before the origin of the host, and the repository of the job comes last', () => {
    const jobRepositoryUrl = 'https://github.com/o/job.git';
    const first = (origin: string | undefined, repositoryUrl?: string) =>
      fetchAttempts(origin, {
        jobRepositoryUrl,
        ...(repositoryUrl === undefined ? {} : { repositoryUrl }),
      })[0]?.url;
    assert.equal(first('/srv/r.git', '/named.git'), '/named.git');
    assert.equal(first('/srv/r.git'), '/srv/r.git');
    assert.equal(first(undefined), jobRepositoryUrl);
  });
  test('row 131: no server but the one that issued it is shown the token', () => {
    const fetchAccess = { server: 'https://github.com', token: 't' };
    for (const origin of [
      'git@gitlab.com:o/r.git',
      'https://github.com.evil.example/o/r',
      'https://user@evil.example:443/github.com/o/r',
      'git@github-deploy:o/r.git',
      'https://github.com:8443/o/r.git',
      'http://github.com/o/r.git',
    ])
      assert.deepEqual(fetchAttempts(origin, { fetchAccess }), [{ url: origin }], origin);
  });
  test('row 131: the token is in the environment of one call, for that host alone', () => {
    const source = { url: 'https://github.com/o/r.git', token: 'ghs_x' };
    assert.equal(tokenEnvironment(source, true).GIT_CONFIG_KEY_0, 'http.https://github.com/.extraheader');
    const older = tokenEnvironment(source, false);
    assert.match(
      older.GIT_CONFIG_PARAMETERS ?? '',
      /^'http\.https:\/\/github\.com\/\.extraheader=Authorization: Basic /,
    );
    for (const counted of [true, false])
      assert.deepEqual(tokenEnvironment({ url: 'https://github.com/o/r.git' }, counted), {});
  });
  test('row 171: versions are compared by their numbers', () => {
    for (const version of ['2.25', '2.25.1', '2.39.5', '2.100.0', '3.0', '2.25.windows.1'])
      assert.ok(isGitSince(version, '2.25'), version);
    for (const version of ['2.24.9', '2.7.4', '1.99.0', '1.8.3.1'])
      assert.ok(!isGitSince(version, '2.25'), version);
  });
  test('row 98: a missing commit is told from a missing access', () => {
    assert.ok(isMissingCommit('fatal: remote error: upload-pack: not our ref 0123'));
    assert.ok(!isMissingCommit('fatal: Could not read from remote repository.'));
  });
  test('paths of git status, also with spaces and renames', () => {
    assert.deepEqual(porcelainPaths(' M a b.txt\0R  new.ts\0old.ts\0 D gone\0'), [
      'a b.txt',
      'new.ts',
      'gone',
    ]);
  });
});

describe('the host', () => {
  test('row 106: environment files that are whole, and those that are not', () => {
    for (const whole of [
      'A=1\n# x\n\nexport B="two\nlines"\nC=\'x\'',
      '\uFEFFA=1\r\nB=2',
      'A="say \\"hi\\""',
      'A=',
      'A.B=1',
      '2CAPTCHA_KEY=',
      'A: 1',
    ])
      assert.equal(checkEnvText(whole), undefined, whole);
    assert.match(checkEnvText('A=1\nB="x\nC=3')!, /quote that line 2 opens/);
    assert.match(checkEnvText('A=1\nHALF')!, /line 2 is not NAME=value/);
    assert.match(checkEnvText(' \n')!, /is empty/);
    assert.match(checkEnvText('A=\0')!, /NUL/);
  });
  test('samples are no environment files', () => {
    assert.deepEqual(
      ['.env', '.env.local', '.env.production.local', '.env.example', '.envrc', 'x.env'].map(isEnvFile),
      [true, true, true, false, false, false],
    );
    assert.deepEqual(['.env.bak', '.env.local.old2', '.env.save-1', '.env.bakery'].map(isEnvFile), [
      false,
      false,
      false,
      true,
    ]);
  });
  test('row 106: what the run writes itself, and what a person does without, is not missed', () => {
    const judged = (run: EnvRun): string =>
      judgeHostEnvFiles('/nowhere', [], ['.env.local', '.env.bak', 'web/.env'], run)
        .map(({ message }) => message.split(' ')[0])
        .join(' ');
    assert.equal(judged({ explicit: false }), '.env.local web/.env');
    assert.equal(judged({ explicit: false, writes: '.env.local' }), 'web/.env');
    assert.equal(judged({ explicit: true }), '');
  });
  test('version managers are looked into, newest first', () => {
    const folders = managedFolders('/h', (folder) =>
      folder.endsWith('.nvm/versions/node') ? ['v9.1.0', 'v20.2.0'] : [],
    );
    assert.deepEqual(folders.slice(0, 2), [
      '/h/.nvm/versions/node/v20.2.0/bin',
      '/h/.nvm/versions/node/v9.1.0/bin',
    ]);
  });
  test('the state folder: beside, else at home on the same file system, else nowhere', () => {
    const all = {
      besideWritable: true,
      besideSafe: true,
      besideOnSameDevice: true,
      homeWritable: true,
      homeSafe: true,
      homeOnSameDevice: true,
    };
    const at = (...missing: (keyof typeof all)[]) =>
      choosePlace({ ...all, ...Object.fromEntries(missing.map((name) => [name, false])) });
    assert.equal(at('homeOnSameDevice'), 'beside');
    assert.equal(at('besideWritable'), 'at-home');
    assert.equal(at('besideOnSameDevice'), 'at-home', 'the application is a mount of its own');
    assert.equal(at('besideSafe'), 'at-home', 'others could bring a folder of theirs in its place');
    assert.equal(at('besideWritable', 'homeOnSameDevice'), 'nowhere');
    assert.equal(at('besideWritable', 'homeWritable'), 'nowhere');
    assert.equal(at('besideSafe', 'homeSafe'), 'nowhere');
    assert.equal(statePlaces('/var/www/app', '/h').beside, '/var/www/.app.deploy');
  });
  test('row 94: too little room on the disk or of inodes is refused, too little memory is told', () => {
    const judged = (bytes: number, inodes: number | undefined, memory: number): string => {
      const facts = {
        freeBytes: bytes * 1_048_576,
        memoryBytes: memory * 1_048_576,
        ...(inodes === undefined ? {} : { freeInodes: inodes }),
        deployRefusals: [],
        warnings: [],
      } as unknown as HostFacts;
      judgeFreeSpace(facts, '/var/www/app');
      const words = ({ message }: Problem): string => /\d+ \w+/.exec(message)![0];
      return `${facts.deployRefusals.map(words)} / ${facts.warnings.map(words)}`;
    };
    assert.equal(judged(512, 20_000, 512), ' / ');
    assert.equal(judged(512, undefined, 512), ' / ', 'a file system without a number of inodes');
    assert.equal(judged(511, 20_000, 512), '511 MB / ');
    assert.equal(judged(0, 19_999, 512), '0 MB,19999 inodes / ');
    assert.equal(judged(9_999, 99_999, 511), ' / 511 MB');
  });
  test('strategies that fit a layout, and those that do not', () => {
    assert.equal(strategyFor('checkout', 'auto'), 'in-place');
    assert.equal(strategyFor('releases', 'auto'), 'releases');
    assert.equal(strategyFor('absent', 'auto'), 'releases');
    assert.equal(strategyFor('other', 'auto'), undefined);
    assert.equal(strategyFor('releases', 'adopt'), 'releases', 'adopting twice is no fault');
    assert.equal(strategyFor('absent', 'in-place'), undefined);
    assert.equal(strategyFor('checkout', 'releases'), undefined);
  });
  test('row 101: the sockets that listen on a port', () => {
    const table = `  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 0100007F:0BB8 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 111 1
   1: 0100007F:0BB8 0100007F:D431 01 00000000:00000000 00:00000000 00000000     0        0 222 1
   2: 00000000:0BB9 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 333 1`;
    assert.deepEqual(listeningInodes(table, 3_000), ['111']);
  });
});
