import { basename } from 'node:path';

const REWRITTEN = new Set([
  'package-lock.json',
  'npm-shrinkwrap.json',
  'pnpm-lock.yaml',
  'yarn.lock',
  'bun.lock',
  'bun.lockb',
  'next-env.d.ts',
]);

/**
 * True for a file that package managers and frameworks write by themselves, whoever calls them: that it differs on the
 * server is no work of a person. Pure.
 */
export function isRewritten(path: string): boolean {
  return REWRITTEN.has(basename(path));
}
