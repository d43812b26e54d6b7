import { basename, dirname } from 'node:path';

/**
 * What a name says of a path, wherever in a project it lies.
 * `result`: what is started; one of them is there after every build, at the root of a project.
 * `made`: a build or an install makes it and nobody keeps data under it, so a deploy may replace it.
 * `sent`: `build-on: runner` packs it where git ignores it.
 * `whole`: a folder that holds nothing but output, or what everybody may see: also what git ignores deep in it is sent.
 * `closed`: no environment file of the project lies in it, and it may be very large.
 */
type Mark = 'result' | 'made' | 'sent' | 'whole' | 'closed';

/** All names of output that anything here knows. */
const NAMES: Readonly<Record<string, readonly Mark[]>> = {
  '.next': ['result', 'made', 'sent', 'whole', 'closed'],
  dist: ['result', 'made', 'sent', 'whole', 'closed'],
  build: ['result', 'made', 'sent', 'closed'],
  out: ['result', 'made', 'sent', 'closed'],
  '.output': ['result', 'made', 'sent'],
  '.nuxt': ['result', 'made', 'sent'],
  '.svelte-kit': ['result', 'made', 'sent'],
  node_modules: ['made', 'sent', 'whole', 'closed'],
  '.yarn': ['made', 'sent', 'whole'],
  generated: ['made', 'sent', 'whole'],
  '.medusa': ['made', 'sent'],
  '.solid': ['made', 'sent'],
  '.vinxi': ['made', 'sent'],
  _site: ['made', 'sent'],
  '.turbo': ['made', 'closed'],
  coverage: ['made', 'closed'],
  '.astro': ['made'],
  '.cache': ['made'],
  '.contentlayer': ['made'],
  '.docusaurus': ['made'],
  '.netlify': ['made'],
  '.nitro': ['made'],
  '.parcel-cache': ['made'],
  '.react-router': ['made'],
  '.swc': ['made'],
  '.velite': ['made'],
  '.vercel': ['made'],
  '.vite': ['made'],
  __generated__: ['made'],
  'storybook-static': ['made'],
  // On a server these may be sources or data as well.
  cjs: ['sent'],
  esm: ['sent'],
  lib: ['sent'],
  www: ['sent'],
  '.pnp.cjs': ['sent'],
  '.pnp.loader.mjs': ['sent'],
  public: ['whole'],
};

function marked(mark: Mark): string[] {
  return Object.keys(NAMES).filter((name) => NAMES[name]?.includes(mark));
}

/** Output of which one is there after every build, at the root of a project. */
export const USUAL_OUTPUT: readonly string[] = marked('result');

/** Folders that never hold an environment file of the project. */
export const WITHOUT_ENV_FILES: readonly string[] = marked('closed');

const MADE: ReadonlySet<string> = new Set(marked('made'));
const SENT: ReadonlySet<string> = new Set(marked('sent'));
const WHOLE: ReadonlySet<string> = new Set(marked('whole'));

const FILES =
  /^(next-env\.d\.ts|.+\.tsbuildinfo|\.eslintcache|\.stylelintcache|\.pnp\.(cjs|loader\.mjs|data\.json)|__ENV\.js)$/;

/** What next-pwa and its kin put among the public files. */
const SERVICE_WORKERS = /^(sw|(workbox|swe-worker|worker|fallback)-[\w-]+)\.js(\.map)?$/;

/** What nobody misses: marks of running programs, and what package managers and desktops leave. */
const LITTER = /^((npm-debug|yarn-debug|yarn-error|pnpm-debug)\.log.*|\.DS_Store|Thumbs\.db|.+\.pid)$/;

/** True for a path that a build or an install makes, wherever in the project it lies. */
export function isUsualOutput(path: string): boolean {
  const name = basename(path);
  return (
    MADE.has(name) || FILES.test(name) || (basename(dirname(path)) === 'public' && SERVICE_WORKERS.test(name))
  );
}

/** True for an ignored path that `build-on: runner` sends without being told to. */
export function isSentOutput(path: string): boolean {
  const parts = path.split('/');
  return SENT.has(basename(path)) || parts.some((part) => WHOLE.has(part));
}

/** What an install makes: it goes along with any build-output. */
export function isInstalled(path: string): boolean {
  return /^(node_modules|\.yarn|\.pnp\..+)$/.test(basename(path));
}

export function isLitter(path: string): boolean {
  return LITTER.test(basename(path));
}
