import assert from 'node:assert/strict';
import { realpathSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import type { DeployRequest } from '../../src/worker/protocol.js';
import { freePort } from '../servers/free-port.js';
import { type Files, startOrigin } from '../servers/origin.js';
import { ask, startVps, type Vps } from '../servers/vps.js';
import { app, deployRequest, runWorker } from '../servers/worker.js';

/** Listens on `-p`, or on PORT, and tells how it was started. */
const SERVER = `#!/usr/bin/env node
const at = process.argv.indexOf('-p');
const { isWorker } = require('node:cluster');
require('node:http').createServer((request, response) => {
  response.setHeader('content-type', 'application/json');
  response.end(JSON.stringify({ cwd: process.cwd(), mode: process.env.NODE_ENV ?? 'none', isWorker }));
}).listen(at > 0 ? process.argv[at + 1] : process.env.PORT);
process.on('SIGINT', () => process.exit(0));
`;

interface Way {
  files: (port: number) => Files;
  more?: Partial<DeployRequest>;
  /** The name of the folder. */
  folder?: string;
  /** The port stands in the start itself, so that no health-port is needed. */
  tellsPort?: true;
  /** Deployed once more, through the entry that the first start has made. */
  twice?: true;
  /** What it tells of itself, in short: its folder below app-path, NODE_ENV, and whether it runs in a cluster. */
  told: string;
}

const script = (start: string, more: Files = {}): Files => ({
  'package.json': JSON.stringify({ scripts: { start, again: start } }),
  'server.js': SERVER,
  ...more,
});
const ecosystem = (application: string): Files => ({
  ...script('node server.js'),
  'ecosystem.config.js': `module.exports = { apps: [{ name: 'app', ${application} }] };`,
});
const env = (port: number): string => `env: { PORT: ${port} }`;

const WAYS: Record<string, Way> = {
  'NODE_ENV=production node server.js': {
    files: (port) => script(`NODE_ENV=production PORT=${port} node server.js`),
    tellsPort: true,
    told: '. production cluster',
  },
  'node dist/main, whose ending only Node finds': {
    files: () =>
      script('npm run again', {
        'dist/main.js': SERVER,
        'package.json': JSON.stringify({ scripts: { start: 'npm run again', again: 'node dist/main' } }),
      }),
    told: '. none cluster',
  },
  'cd and then node': {
    files: () => script('cd sub && node ../server.js', { 'sub/x': '' }),
    twice: true,
    told: 'sub none alone',
  },
  'one command after another, the second from node_modules/.bin': {
    files: () => script('node --version && serve-it'),
    more: { installCommand: INSTALL() },
    told: '. none alone',
  },
  'a program of node_modules/.bin, with the port among its arguments': {
    files: (port) => script(`NODE_ENV=test serve-it -p ${port}`),
    more: { installCommand: INSTALL() },
    tellsPort: true,
    twice: true,
    told: '. test alone',
  },
  'a start script with one before it': {
    files: () => ({
      ...script('node server.js'),
      'package.json': JSON.stringify({
        packageManager: 'pnpm@10',
        scripts: { prestart: 'node -e 0', start: 'node server.js' },
      }),
      'pnpm-lock.yaml': "lockfileVersion: '9.0'\nimporters:\n  .: {}\n",
    }),
    told: '. none alone',
  },
  'a path with a space': {
    files: () => script('node server.js'),
    folder: 'my app',
    twice: true,
    told: '. none cluster',
  },
  'ecosystem: a package manager as script': {
    files: (port) => ecosystem(`script: 'pnpm', args: 'start', ${env(port)}`),
    tellsPort: true,
    told: '. none alone',
  },
  'ecosystem: a relative cwd': {
    files: (port) => ({
      ...ecosystem(`cwd: './apps/web', script: 'server.js', instances: 1, ${env(port)}`),
      'apps/web/server.js': SERVER,
    }),
    tellsPort: true,
    told: 'apps/web none cluster',
  },
  'ecosystem: a shell script': {
    files: (port) => ({
      ...ecosystem(`script: './start.sh', ${env(port)}`),
      'start.sh': 'exec node server.js\n',
    }),
    tellsPort: true,
    told: '. none alone',
  },
  'ecosystem: __dirname, and a script without its ending': {
    files: (port) => ({
      ...ecosystem(
        `cwd: __dirname, script: require('node:path').join(__dirname, 'dist/main'), exec_mode: 'cluster', ${env(port)}`,
      ),
      'dist/main.js': SERVER,
    }),
    tellsPort: true,
    told: '. none cluster',
  },
  'ecosystem: a line for the shell': {
    files: (port) => ecosystem(`script: 'cd . && node server.js', ${env(port)}`),
    tellsPort: true,
    told: '. none alone',
  },
};

function INSTALL(): string {
  return 'mkdir -p node_modules/.bin && cp server.js node_modules/.bin/serve-it && chmod +x node_modules/.bin/serve-it';
}

describe('the first start of an application that PM2 does not know', () => {
  let vps: Vps;
  before(async () => {
    const nothing = startOrigin({});
    vps = await startVps(nothing, { installed: false });
    nothing.stop();
  });
  after(() => vps?.stop());

  for (const [title, { files, more, folder, tellsPort, twice, told }] of Object.entries(WAYS))
    test(`is rehearsed and goes live: ${title}`, async () => {
      const port = await freePort();
      const origin = startOrigin(files(port));
      const appPath = join(vps.root, 'var/www', folder ?? `app-${port}`);
      const healthPort = tellsPort ? {} : { healthPort: port };
      try {
        const deploy = async (sha: string): Promise<void> => {
          const request = deployRequest(vps, sha, {
            app: app(vps, { appPath, ...healthPort }),
            repositoryUrl: origin.url,
            ...more,
          });
          const { result } = await runWorker(vps, request);
          assert.equal(result.outcome, 'deployed', JSON.stringify(result));
          assert.equal(result.rehearsed, true);
        };
        await deploy(origin.head());
        if (twice) await deploy(origin.commit({ next: '' }));
        const answer = JSON.parse((await ask(port, '/')).body) as {
          cwd: string;
          mode: string;
          isWorker: boolean;
        };
        const cwd = answer.cwd.slice(realpathSync(appPath).length + 1) || '.';
        assert.equal(`${cwd} ${answer.mode} ${answer.isWorker ? 'cluster' : 'alone'}`, told);
      } finally {
        await vps.run('pm2 delete app');
        origin.stop();
      }
    });

  test('a script that nobody has made is named, and nothing is started', async () => {
    const origin = startOrigin(script('node dist/main'));
    try {
      const appPath = join(vps.root, 'var/www/never');
      const { result } = await runWorker(
        vps,
        deployRequest(vps, origin.head(), {
          app: app(vps, { appPath, healthPort: 1 }),
          repositoryUrl: origin.url,
        }),
      );
      assert.equal(result.outcome, 'failed');
      assert.match(
        result.problems[0]!.message,
        /started by dist\/main, which neither the commit has nor the build has made/,
      );
    } finally {
      origin.stop();
    }
  });
});
