import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { availableParallelism, tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { openToolbox } from '../../../src/worker/host/toolbox.js';
import type { Config } from '../../../src/worker/supervisor/pm2-config.js';
import { entryOf } from '../../../src/worker/supervisor/pm2-config.js';
import { ecosystemFiles, findApplication } from '../../../src/worker/supervisor/pm2-ecosystem.js';
import {
  declaredValues,
  differences,
  storedValues,
} from '../../../src/worker/supervisor/pm2-entry-values.js';
import {
  decideFollowing,
  type FollowingQuestion,
  usedBlock,
} from '../../../src/worker/supervisor/pm2-following.js';
import { keptChanges } from '../../../src/worker/supervisor/pm2-kept-entry.js';

const tools = openToolbox({ ...process.env, PATH: `${process.cwd()}/node_modules/.bin:${process.env.PATH}` });
const CWD = '/srv/app';

/** As PM2 stores the entry of an ecosystem file. */
const RAW = {
  name: 'app',
  pm_cwd: CWD,
  pm_exec_path: `${CWD}/server.js`,
  exec_mode: 'fork_mode',
  exec_interpreter: 'node',
  args: ['--color', 'red'],
  node_args: [],
  min_uptime: 10_000,
  restart_delay: 4_000,
  max_memory_restart: 314_572_800,
  autorestart: true,
  wait_ready: undefined,
  env: { PORT: '3000', DATABASE_URL: 'from a shell', unique_id: 'x' },
};
const FILE: Config = {
  name: 'app',
  script: './server.js',
  cwd: CWD,
  args: '--color red',
  min_uptime: '10s',
  restart_delay: '4s',
  max_memory_restart: '300M',
  env: { PORT: 3000 },
};

const ENTRY = {
  ...entryOf(FILE, tools, (path) => path),
  instances: [{ id: 0, pid: 1, status: 'online', restarts: 0 }],
};
const STORED = {
  values: storedValues([RAW], ENTRY),
  env: { PORT: '3000', DATABASE_URL: 'from a shell' },
};

function declared(config: Config, more: { file?: string; reads?: string[] } = {}): FollowingQuestion['live'] {
  const entry = entryOf({ cwd: CWD, ...config }, tools, (path) => path);
  return { file: 'ecosystem.config.js', config, values: declaredValues(config, entry), reads: [], ...more };
}

function decide(next: Config | undefined, more: Partial<FollowingQuestion> = {}): string {
  const decided = decideFollowing({
    mode: 'auto',
    appName: 'app',
    environment: undefined,
    stored: STORED,
    live: declared(FILE),
    next: next && declared(next),
    ...more,
  });
  if (decided.kind === 'same') return 'same';
  if (decided.kind === 'keep') return `keep: ${decided.problem?.message ?? 'nothing to say'}`;
  return `${decided.how}: ${decided.changed.join(', ')} with ${Object.keys(decided.env).join(', ')}`;
}

describe('whether the PM2 entry follows the ecosystem file of the commit', () => {
  const { restart_delay: _, ...noDelay } = FILE;
  const staging = { ...FILE, env_staging: { COLOR: 'blue' }, env_production: { COLOR: 'red' } };
  const cases: [string, string, RegExp][] = [
    ['the same file', decide(FILE), /^same$/],
    [
      'the same in other words',
      decide({ ...FILE, min_uptime: 10_000, max_memory_restart: '300m' }),
      /^same$/,
    ],
    ['camel case', decide({ ...noDelay, restartDelay: 4_000 }), /^same$/],
    [
      'more memory',
      decide({ ...FILE, max_memory_restart: '1G' }),
      /^reload: max_memory_restart with PORT, DATABASE_URL$/,
    ],
    [
      'one more variable',
      decide({ ...FILE, env: { PORT: 3000, A: 1 } }),
      /^reload: env\.A with PORT, DATABASE_URL, A$/,
    ],
    ['a variable taken away', decide({ ...FILE, env: {} }), /^start: env\.PORT with DATABASE_URL$/],
    ['cluster mode', decide({ ...FILE, exec_mode: 'cluster' }), /^start: exec_mode/],
    ['instances ask for cluster mode', decide({ ...FILE, instances: 'max' }), /^start: instances, exec_mode/],
    ['another script', decide({ ...FILE, script: 'main.js' }), /^start: script/],
    ['a key taken away', decide(noDelay), /^start: restart_delay/],
    ['a key that PM2 does not store so', decide({ ...FILE, error_file: 'x.log' }), /^start: error_file/],
    ['no file', decide(undefined), /^keep: nothing to say$/],
    ['no file, but follow', decide(undefined, { mode: 'follow' }), /^keep: No ecosystem file/],
    ['keep', decide({ ...FILE, script: 'main.js' }, { mode: 'keep' }), /^keep: nothing to say$/],
    [
      'no file before',
      decide(FILE, { live: undefined }),
      /^keep: ecosystem.config.js has "app", and the live commit has no/,
    ],
    [
      'no file before, and follow',
      decide({ ...FILE, exec_mode: 'cluster' }, { mode: 'follow', live: undefined }),
      /^start: exec_mode/,
    ],
    ['follow, and nothing changes', decide(FILE, { mode: 'follow', live: undefined }), /^same$/],
    [
      'changed by hand',
      decide({ ...FILE, max_memory_restart: '1G' }, { live: declared({ ...FILE, min_uptime: '5s' }) }),
      /^keep: .*not what ecosystem.config.js said before \(min_uptime\)/,
    ],
    [
      'changed by hand, and follow',
      decide(FILE, { mode: 'follow', stored: { ...STORED, env: { PORT: '4000' } } }),
      /^reload: env\.PORT with PORT$/,
    ],
    [
      'the environment is read',
      decide(
        { ...FILE, min_uptime: 1 },
        { next: declared(FILE, { reads: ['NODE_ENV'] }), live: declared(noDelay) },
      ),
      /^keep: .* reads process\.env\.NODE_ENV/,
    ],
    [
      'the environment is read, in a file that nobody changed',
      decide(undefined, { next: declared(FILE, { reads: ['*'] }) }),
      /^same$/,
    ],
    ['blocks of which none was used', decide(staging, { live: declared(staging) }), /^same$/],
    [
      'a block that is new, and follow',
      decide(staging, { mode: 'follow', live: undefined }),
      /^keep: .*env_staging, env_production.*cannot be told/,
    ],
    [
      'the block of the environment, and follow',
      decide(staging, { mode: 'follow', live: undefined, environment: 'production' }),
      /^reload: env\.COLOR/,
    ],
    [
      'cores',
      decide({ ...FILE, instances: availableParallelism() }, { live: declared({ ...FILE, instances: 1 }) }),
      /^keep/,
    ],
  ];
  for (const [name, told, expected] of cases)
    test(`row 166: ${name}`, () => {
      assert.match(told, expected);
    });

  test('row 166: a variable from a shell stays, wherever it stands', () => {
    const decided = decideFollowing({
      mode: 'auto',
      appName: 'app',
      environment: undefined,
      stored: STORED,
      live: declared(FILE),
      next: declared({ ...FILE, exec_mode: 'cluster' }),
    });
    assert.deepEqual(decided.kind === 'follow' && decided.env, STORED.env);
  });

  test('row 166: the block that an entry was started with is the one that explains it', () => {
    const config = { env: { A: '1' }, env_one: { B: '1' }, env_two: { B: '2' }, env_three: { C: '1' } };
    assert.equal(usedBlock(config, { A: '1', B: '2' }, undefined), 'env_two');
    assert.equal(usedBlock(config, { A: '1' }, 'one'), undefined);
    assert.equal(usedBlock(config, { A: '1', B: '1', C: '1' }, undefined), 'unclear');
    assert.equal(usedBlock(config, { A: '1', B: '1', C: '1' }, 'three'), 'env_three');
    assert.equal(usedBlock(config, { A: '2' }, undefined), 'unclear');
  });

  test('row 166: a program of PATH is known by its name', () => {
    const npm = declared({ name: 'app', script: 'npm', args: 'start' });
    assert.deepEqual(differences({ script: npm?.values.script }, { script: '/opt/node/bin/npm' }), []);
    assert.deepEqual(differences({ script: npm?.values.script }, { script: '/srv/app/server.js' }), [
      'script',
    ]);
  });

  test('row 166: a listen_timeout that a deploy has raised is no change by hand', () => {
    assert.deepEqual(differences({ listen_timeout: 3_000 }, { listen_timeout: 8_000 }), []);
    assert.deepEqual(differences({ listen_timeout: 8_000 }, { listen_timeout: 3_000 }), ['listen_timeout']);
  });

  test('row 166: a kept entry is compared with what runs', () => {
    const cluster = { ...RAW, exec_mode: 'cluster_mode', env: { ...RAW.env, PORT: '3001' } };
    assert.deepEqual(
      keptChanges([RAW], [{ ...RAW, restart_time: 9, env: { ...RAW.env, unique_id: 'y' } }], 'app'),
      [],
    );
    assert.deepEqual(keptChanges([cluster], [RAW], 'app'), ['exec_mode', 'env.PORT']);
    assert.deepEqual(keptChanges([], [RAW], 'app'), ['name']);
  });
});

describe('ecosystem files in all forms that PM2 takes', { concurrency: true }, () => {
  const one = `{ name: 'app', script: 'server.js', instances: 2 }`;
  const js = `const other = { name: 'other', script: 'x.js' }; const mine = ${one};`;
  const json = `{ "apps": [{ "name": "other" }, { "name": "app", "script": "server.js", "instances": 2 }] }`;
  const yaml = 'apps:\n  - name: other\n  - name: app\n    script: server.js\n    instances: 2\n';
  const forms: Record<string, string> = {
    'ecosystem.config.js': `${js} module.exports = { apps: [other, mine] };`,
    'ecosystem.config.cjs': `${js} module.exports = [other, mine];`,
    'ecosystem.config.mjs': `${js} export default { apps: [other, mine] };`,
    'ecosystem.json': `// PM2 allows this\n${json}`,
    'process.json': json,
    'ecosystem.config.yml': yaml,
    'pm2.yaml': yaml,
    'pm2.config.js': `${js} exports.apps = [other, mine];`,
    'ecosystem.production.config.cjs': `${js} module.exports = { apps: mine };`,
  };
  for (const [file, text] of Object.entries(forms))
    test(`row 166: ${file}`, async () => {
      const folder = mkdtempSync(join(tmpdir(), 'muva-ecosystem-'));
      try {
        writeFileSync(join(folder, file), text);
        writeFileSync(join(folder, 'vite.config.js'), 'throw new Error("not for PM2")');
        assert.deepEqual(ecosystemFiles(folder), [file]);
        const found = await findApplication(tools, folder, 'app');
        assert.deepEqual(found, {
          file,
          config: { name: 'app', script: 'server.js', instances: 2 },
          faults: [],
          reads: [],
        });
      } finally {
        rmSync(folder, { recursive: true });
      }
    });

  test('row 166: what a file reads of the environment is known, and what Node reads meanwhile is not it', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'muva-ecosystem-'));
    try {
      writeFileSync(join(folder, 'package.json'), '{ "type": "module" }');
      writeFileSync(join(folder, 'own.cjs'), 'exports.port = process.env.PORT ?? 3000;');
      writeFileSync(
        join(folder, 'ecosystem.config.cjs'),
        `require('node:os').cpus(); module.exports = { apps: [{ script: './app.js', env: { PORT: require('./own.cjs').port, ...('A' in process.env ? {} : {}) } }] };`,
      );
      const found = await findApplication(tools, folder, 'app');
      assert.deepEqual(found?.reads, ['PORT', 'A']);
      assert.equal(await findApplication(tools, folder, 'another'), undefined);
      const wrong = '{ "name": "app", "script": "x.js", "kill_timeout": "10s" }';
      writeFileSync(join(folder, 'process.json'), wrong);
      const named = await findApplication(tools, folder, 'app', 'process.json');
      assert.match(named?.faults[0] ?? '', /kill_timeout/);
    } finally {
      rmSync(folder, { recursive: true });
    }
  });
});
