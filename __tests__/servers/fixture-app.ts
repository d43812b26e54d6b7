import type { Files } from './origin.js';

/** What the small application does wrong, so that a deploy meets the fault for real. */
export interface AppFaults {
  /** Exits with 1 as soon as it is started. */
  crashAtBoot?: boolean;
  /** Starts and listens, then exits after this many milliseconds, again and again. */
  crashAfter?: number;
  /** Only crashes where REHEARSAL is not set, so that the fault shows after the cutover. */
  onlyLive?: boolean;
  /** Milliseconds before it listens. */
  bootDelay?: number;
  /** Status of /api/health. */
  healthStatus?: number;
  /** The page links to a script that was not built. */
  missingChunk?: boolean;
  /** Its health answer names no commit. */
  anonymous?: boolean;
  build?: 'fails' | 'says-nothing' | 'killed' | 'slow';
  /** So many more files are built, each of which changes place at a cutover. */
  outputs?: number;
  /** Milliseconds that each answer takes. */
  answerDelay?: number;
  /** Answers 429 after so many requests to one process, for a quarter of an hour. */
  limit?: number;
  /** A file that gets a line for each request: `<REHEARSAL or live> <path> <status>`. */
  countIn?: string;
  /** Milliseconds of `healthStatus`, after which it is 200. */
  sickFor?: number;
  /** /api/health answers 500 where this query fails; `pg` is the path of that package. */
  reads?: { pg: string; url: string; sql: string };
  /** Milliseconds of 200, after which it is `healthStatus`. */
  sickAfter?: number;
}

/** Reads a commit's `version.txt` and `faults.json`, and the environment, into `dist/`. */
const BUILD = `
const { mkdirSync, readFileSync, writeFileSync, existsSync } = require('node:fs');
const faults = JSON.parse(readFileSync('faults.json', 'utf8'));
const version = readFileSync('version.txt', 'utf8').trim();
console.log('building ' + version);
if (faults.build === 'fails') { console.error('build error: module not found'); process.exit(1); }
if (faults.build === 'says-nothing') process.exit(0);
if (faults.build === 'killed') process.kill(process.pid, 'SIGKILL');
if (faults.build === 'slow') Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 60000);
const env = existsSync('.env.local') ? readFileSync('.env.local', 'utf8') : '';
const greeting = /^GREETING=(.*)$/m.exec(env)?.[1] ?? 'none';
for (let n = 0; n < (faults.outputs ?? 0); n++) writeFileSync('made-' + n + '.txt', version);
mkdirSync('dist/static', { recursive: true });
writeFileSync('dist/static/app-' + version + '.js', 'console.log("' + version + '")');
writeFileSync('dist/build.json', JSON.stringify({ version, greeting, commit: process.env.DEPLOY_SHA ?? null }));
`;

const SERVER = `
const { appendFileSync, existsSync, readFileSync } = require('node:fs');
const { createServer } = require('node:http');
const { join } = require('node:path');
const faults = JSON.parse(readFileSync(join(__dirname, 'faults.json'), 'utf8'));
const built = JSON.parse(readFileSync(join(__dirname, 'dist/build.json'), 'utf8'));
const revision = existsSync(join(__dirname, 'REVISION')) ? readFileSync(join(__dirname, 'REVISION'), 'utf8').trim() : built.commit;
const live = !process.env.REHEARSAL;
const sick = live || !faults.onlyLive;
if (faults.crashAtBoot && sick) { console.error('cannot start: no database'); process.exit(1); }
if (faults.crashAfter && sick) setTimeout(() => process.exit(1), faults.crashAfter);
const at = process.argv.findIndex((word) => word === '-p' || word === '--port');
const port = Number(at > 0 ? process.argv[at + 1] : process.env.PORT);
const chunk = faults.missingChunk && sick ? 'app-gone' : 'app-' + built.version;
let asked = 0;
const started = Date.now();
const server = createServer((request, response) => setTimeout(() => {
  const path = request.url.split('?')[0];
  if (faults.countIn) response.on('close', () => appendFileSync(faults.countIn, (live ? 'live ' : 'rehearsal ') + path + ' ' + response.statusCode + '\\n'));
  if (faults.limit && ++asked > faults.limit) return response.writeHead(429, { 'retry-after': '900' }).end();
  if (path === '/') {
    response.setHeader('content-type', 'text/html');
    return response.end('<!doctype html><title>app</title><p>version ' + built.version + '</p><script src="/static/' + chunk + '.js"></script>');
  }
  if (path === '/api/health' && faults.reads) {
    const { Client } = require(faults.reads.pg);
    const client = new Client({ connectionString: faults.reads.url });
    const read = client.connect().then(() => client.query(faults.reads.sql)).finally(() => client.end());
    return read.then(() => tellHealth(response, 200), () => tellHealth(response, 500));
  }
  if (path === '/api/health') {
    const age = Date.now() - started;
    const well = !sick || age > (faults.sickFor ?? Infinity) || age < (faults.sickAfter ?? 0);
    return tellHealth(response, well ? 200 : faults.healthStatus ?? 200);
  }
  const file = join(__dirname, 'dist', path);
  if (path.startsWith('/static/') && !path.includes('..') && existsSync(file)) {
    response.setHeader('content-type', 'text/javascript');
    return response.end(readFileSync(file));
  }
  response.writeHead(404);
  response.end('not found');
}, faults.answerDelay ?? 0));
function tellHealth(response, status) {
  response.writeHead(status, { 'content-type': 'application/json' });
  return response.end(JSON.stringify({ status: status === 200 ? 'ok' : 'error', version: built.version, commit: faults.anonymous ? undefined : revision, greeting: built.greeting, pid: process.pid }));
}
setTimeout(() => server.listen(port, () => console.log('listening on ' + port)), faults.bootDelay ?? 0);
// In a cluster the worker disconnects, which also hands back connections that are on their way to it:
// "server.close(() => process.exit())" would lose those.
const { worker } = require('node:cluster');
process.on('SIGINT', () => { if (worker) worker.disconnect(); else server.close(() => process.exit(0)); });
`;

const PACKAGE = {
  name: 'app',
  version: '1.0.0',
  private: true,
  scripts: { build: 'node build.js', start: 'node server.js' },
};

const LOCK = `lockfileVersion: '9.0'

settings:
  autoInstallPeers: true
  excludeLinksFromLockfile: false

importers:

  .: {}
`;

/** All files of the small application: a plain Node server whose version comes out of its build. */
export function appFiles(version: string, faults: AppFaults = {}): Files {
  return {
    'package.json': `${JSON.stringify(PACKAGE, null, 2)}\n`,
    'pnpm-lock.yaml': LOCK,
    '.gitignore': 'node_modules\ndist\n.env*\nREVISION\nmade-*\n',
    'build.js': BUILD,
    'server.js': SERVER,
    ...appVersion(version, faults),
  };
}

/** The files that a new version of the application changes. */
export function appVersion(version: string, faults: AppFaults = {}): Files {
  return { 'version.txt': `${version}\n`, 'faults.json': `${JSON.stringify(faults)}\n` };
}

/** A package.json that asks for something the lock file does not have. */
export function mismatchedPackage(): Files {
  return {
    'package.json': `${JSON.stringify({ ...PACKAGE, dependencies: { 'left-pad': '1.3.0' } }, null, 2)}\n`,
  };
}
