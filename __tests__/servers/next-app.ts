/** A small real Next.js application from the npm registry, and visitors who load its pages as a browser does. */
import { copyFileSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { assetUrls } from '../../src/http/assets.js';
import type { Files, Origin } from './origin.js';
import { until } from './until.js';
import { ask, type LoadResult, type Vps } from './vps.js';

/** Runs on Node 20 and 24. Its image library is left out: nothing here needs it, and it is large. */
const PACKAGE = {
  name: 'next-app',
  version: '1.0.0',
  private: true,
  scripts: { build: 'next build', start: 'next start' },
  dependencies: { next: '15.5.25', react: '19.1.1', 'react-dom': '19.1.1' },
  pnpm: { ignoredOptionalDependencies: ['sharp'] },
};

const CONFIG = "export default { env: { DEPLOY_SHA: process.env.DEPLOY_SHA ?? '' } };\n";

const LAYOUT = `export const metadata = { title: 'app' };
export default function Layout({ children }) {
  return <html lang="en"><body>{children}</body></html>;
}
`;

const PAGE = `import Link from 'next/link';
import { VERSION } from './version';
export default function Page() {
  return <main><p>{\`version \${VERSION}\`}</p><Link href="/counter">Count</Link></main>;
}
`;

const HEALTH = `import { VERSION } from '../../version';
export const dynamic = 'force-dynamic';
export const GET = () =>
  Response.json({ status: 'ok', version: VERSION, commit: process.env.DEPLOY_SHA });
`;

const COUNTER = `'use client';
import { useState } from 'react';
import { VERSION } from '../version';
export default function Counter() {
  const [count, setCount] = useState(0);
  return <button onClick={() => setCount(count + 1)}>{VERSION}: {count}</button>;
}
`;

/** All files of the application: a page, a page with a client component, and a health route that names its commit. */
export function nextFiles(version: string): Files {
  return {
    'package.json': packageJson(PACKAGE.scripts.build),
    '.gitignore': 'node_modules\n.next\n.env*\nREVISION\n',
    'next.config.mjs': CONFIG,
    'app/layout.js': LAYOUT,
    'app/page.js': PAGE,
    'app/api/health/route.js': HEALTH,
    'app/counter/page.js': COUNTER,
    ...nextVersion(version),
  };
}

export function nextVersion(version: string): Files {
  return { 'app/version.js': `export const VERSION = '${version}';\n` };
}

/** A version that Next.js cannot build, and whose build script hides that behind exit code 0. */
export function silentlyBroken(version: string): Files {
  return {
    'package.json': packageJson(`${PACKAGE.scripts.build} || true`),
    'app/version.js': `import './gone';\nexport const VERSION = '${version}';\n`,
  };
}

function packageJson(build: string): string {
  return `${JSON.stringify({ ...PACKAGE, scripts: { ...PACKAGE.scripts, build } }, null, 2)}\n`;
}

/** What a registry behind a proxy or an authority of one's own needs, for pnpm in the sandbox. */
const NETWORK = /^(https?_proxy|no_proxy|node_extra_ca_certs|npm_config_registry)$/i;

/** As docs/server.md says: PM2 in cluster mode, an exit that loses no connection, the port in the arguments. */
function plainEntry(vps: Vps): Readonly<Record<string, unknown>> {
  const gracefulExit = join(vps.home, 'graceful-exit.cjs');
  copyFileSync('examples/graceful-exit.cjs', gracefulExit);
  return {
    script: 'node_modules/next/dist/bin/next',
    args: ['start', '-p', String(vps.port)],
    node_args: `--require ${gracefulExit}`,
    env: { NEXT_MANUAL_SIG_HANDLE: '1' },
    exec_mode: 'cluster',
    instances: 1,
    kill_timeout: 10_000,
    // PM2's 3 seconds are too few for a new process on a machine that runs other tests too.
    listen_timeout: 30_000,
  };
}

/**
 * Installs, builds and starts the application by hand, in a checkout. Commits the lock file, and returns the commit that is
 * live. `entry`: how PM2 runs it.
 */
export async function installNext(vps: Vps, origin: Origin, entry = plainEntry(vps)): Promise<string> {
  for (const [name, value] of Object.entries(process.env))
    if (NETWORK.test(name) && value !== undefined) vps.env[name] = value;
  vps.env.NEXT_TELEMETRY_DISABLED = '1';
  await mustRun(vps, `git clone -q '${origin.url}' '${vps.appPath}'`, vps.home);
  await mustRun(vps, 'pnpm install --no-frozen-lockfile');
  const sha = origin.commit({ 'pnpm-lock.yaml': readFileSync(join(vps.appPath, 'pnpm-lock.yaml'), 'utf8') });
  await mustRun(vps, 'git fetch -q origin && git reset -q --hard origin/main && pnpm build');
  const ecosystem = join(vps.home, 'ecosystem.config.json');
  const all = { name: vps.appName, cwd: vps.appPath, ...entry };
  writeFileSync(ecosystem, JSON.stringify({ apps: [all] }));
  await mustRun(vps, `pm2 start '${ecosystem}' && pm2 save`);
  await until('Next.js to answer', () => vps.served(), 60_000);
  return sha;
}

async function mustRun(vps: Vps, command: string, cwd = vps.appPath): Promise<void> {
  const ran = await vps.run(command, cwd);
  if (ran.code !== 0) throw new Error(`${command} ended with ${ran.code}:\n${ran.stdout}\n${ran.stderr}`);
}

export function buildId(vps: Vps): string {
  return readFileSync(join(vps.appPath, '.next/BUILD_ID'), 'utf8').trim();
}

/** Paths of the scripts and styles that a page links to now. */
export async function chunksOf(vps: Vps, page: string): Promise<string[]> {
  const { status, body } = await ask(vps.port, page);
  if (status !== 200) throw new Error(`${page} answers ${status}`);
  return assetUrls(body, new URL(page, `http://127.0.0.1:${vps.port}`)).map(({ pathname }) => pathname);
}

/**
 * Lets so many visitors a second come, until `stop`: each loads a page, then everything it links to, then asks the
 * health route. A chunk that the page just named and that is not there is a failed request like any other.
 */
export function visitors(vps: Vps, perSecond: number): { stop(): Promise<LoadResult> } {
  const result: LoadResult = { requests: 0, failed: 0, failures: [], versions: [] };
  const open = new Set<Promise<void>>();
  const get = async (path: string): Promise<string> => {
    result.requests += 1;
    try {
      const { status, body } = await ask(vps.port, path);
      if (status !== 200) throw new Error(`status ${status}`);
      return body;
    } catch (error) {
      result.failed += 1;
      if (result.failures.length < 10) result.failures.push(`${path}: ${error}`);
      return '';
    }
  };
  const visit = async (page: string): Promise<void> => {
    const assets = assetUrls(await get(page), new URL(page, `http://127.0.0.1:${vps.port}`));
    await Promise.all(assets.map(({ pathname }) => get(pathname)));
    const health = await get('/api/health');
    const version = health === '' ? '?' : (JSON.parse(health) as { version: string }).version;
    if (!result.versions.includes(version)) result.versions.push(version);
  };
  let visits = 0;
  const started = performance.now();
  const timer = setInterval(() => {
    const due = Math.floor(((performance.now() - started) * perSecond) / 1_000);
    for (; visits < due; visits++) {
      const running = visit(visits % 2 === 0 ? '/' : '/counter').finally(() => open.delete(running));
      open.add(running);
    }
  }, 10);
  return {
    async stop() {
      clearInterval(timer);
      await Promise.all(open);
      return result;
    },
  };
}
