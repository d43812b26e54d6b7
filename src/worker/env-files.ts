import { copyFileSync, mkdirSync, readdirSync } from 'node:fs';
import { dirname, join } from 'node:path';
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

/**
 * Why a text cannot be a whole environment file: a quote that does not end, a line without `=`, a NUL byte.
 * A file that was only half written must not be built into an application.
 */
export function judgeEnvText(text: string): string | undefined {
  if (text.trim() === '') return 'is empty';
  if (text.includes('\0')) return 'holds a NUL byte';
  const lines = text.replace(/^\uFEFF/, '').split(/\r?\n/);
  for (let index = 0; index < lines.length; index++) {
    const line = lines[index]!.trim();
    if (line === '' || line.startsWith('#')) continue;
    const match = /^(?:export\s+)?[A-Za-z_][A-Za-z0-9_.-]*\s*=\s*(.*)$/.exec(line);
    if (!match) return `line ${index + 1} is not NAME=value`;
    const opened = index + 1;
    const quote = /^["'`]/.exec(match[1]!)?.[0];
    if (quote === undefined) continue;
    let rest = match[1]!.slice(1);
    while (!endsQuote(rest, quote)) {
      index++;
      if (index >= lines.length) return `the quote that line ${opened} opens is never closed`;
      rest = lines[index]!;
    }
  }
  return undefined;
}

function endsQuote(text: string, quote: string): boolean {
  for (let index = 0; index < text.length; index++) {
    if (text[index] === '\\' && quote === '"') index++;
    else if (text[index] === quote) return true;
  }
  return false;
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
