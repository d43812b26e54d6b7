import { basename, dirname } from 'node:path';

/** What builds are known to make, by its name alone: nobody keeps data under these, and the next build makes them again. */

/** Output of which one is there after every build, at the root of a project. */
export const USUAL_OUTPUT = ['.next', 'dist', 'build', 'out', '.output', '.nuxt', '.svelte-kit'];

const FOLDERS: ReadonlySet<string> = new Set([
  ...USUAL_OUTPUT,
  'node_modules',
  ...`.astro .cache .contentlayer .docusaurus .medusa .netlify .nitro .parcel-cache .react-router .solid .swc .turbo
  .velite .vercel .vinxi .vite .yarn __generated__ _site coverage generated storybook-static`.split(/\s+/),
]);

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
    FOLDERS.has(name) ||
    FILES.test(name) ||
    (basename(dirname(path)) === 'public' && SERVICE_WORKERS.test(name))
  );
}

/** What an install makes: it goes along with any build-output. */
export function isInstalled(path: string): boolean {
  return /^(node_modules|\.yarn|\.pnp\..+)$/.test(basename(path));
}

export function isLitter(path: string): boolean {
  return LITTER.test(basename(path));
}
