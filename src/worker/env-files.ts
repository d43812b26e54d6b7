import { copyFileSync, mkdirSync, readdirSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { judgeEnvText } from '../base/env-text.js';
import type { Problem } from '../base/report.js';
import { readText } from './files.js';

/** Folders that never hold an environment file of the project, and may be very large. */
const NEVER_LOOKED_INTO = new Set([
  'node_modules',
  '.git',
  '.next',
  'dist',
  'build',
  'out',
  '.turbo',
  'coverage',
]);
const DEEPEST = 3;

/** True for `.env`, `.env.local`, `.env.production.local` and the like; not for samples meant to be committed. */
export function isEnvFile(name: string): boolean {
  return /^\.env(\.[A-Za-z0-9_-]+)*$/.test(name) && !/\.(example|sample|template|dist)$/.test(name);
}

/** Environment files in a checkout, also in the packages of a monorepo; paths relative to it. */
export function findEnvFiles(root: string, below = '', depth = 0): string[] {
  const found: string[] = [];
  for (const item of readdirSync(join(root, below), { withFileTypes: true })) {
    const path = join(below, item.name);
    if (item.isDirectory()) {
      if (depth < DEEPEST && !NEVER_LOOKED_INTO.has(item.name))
        found.push(...findEnvFiles(root, path, depth + 1));
    } else if (isEnvFile(item.name)) found.push(path);
  }
  return found.sort();
}

/** Problems of the host's own environment files: those that the last deploy knew and that are gone, or torn ones. */
export function judgeHostEnvFiles(
  root: string,
  found: readonly string[],
  known: readonly string[],
): Problem[] {
  const problems: Problem[] = [];
  for (const path of known)
    if (!found.includes(path))
      problems.push({
        message: `${path} was on the server at the last deploy and is missing now.`,
        next: 'Put it back in the checkout, or give its content with env-file.',
      });
  for (const path of found) {
    const why = judgeEnvText(readText(join(root, path)) ?? '');
    if (why !== undefined && why !== 'is empty')
      problems.push({
        message: `${path} on the server looks half written: ${why}.`,
        next: 'Correct the file, or give its content with env-file.',
      });
  }
  return problems;
}

/** Copies environment files into a stage, with the permissions they have. */
export function carryEnvFiles(from: string, to: string, paths: readonly string[]): void {
  for (const path of paths) {
    const target = join(to, path);
    mkdirSync(dirname(target), { recursive: true });
    copyFileSync(join(from, path), target);
  }
}
