import { appendFileSync, statSync } from 'node:fs';
import type { RequestLedger, SentRequest } from '../../lib/request-budget.js';
import { readText, writeAtomically } from './files.js';

/** Bytes from which on the file is cut to what is recent: some days of deploys. */
const LARGE = 64 * 1_024;
/** Lines that are kept then: more than a quarter of an hour may hold. */
const KEPT = 400;

/**
 * The requests that were sent to an application of this host, in a file that all processes of the worker share: the
 * look before a deploy, the deploy, and health after it are one process each. Only ever appended, a line each:
 * `sent <ms> <run>` and `asset <version> <path>`. A count that cannot be written must not fail a deploy.
 */
export function fileLedger(file: string): RequestLedger {
  shorten(file);
  // What could not be written counts in this process at least.
  const unwritten: string[] = [];
  const lines = (): string[] => [...(readText(file) ?? '').split('\n'), ...unwritten];
  const append = (line: string): void => {
    try {
      appendFileSync(file, `${line}\n`, { mode: 0o600 });
    } catch {
      unwritten.push(line);
    }
  };
  return {
    sent: () => lines().flatMap(readSent),
    add: ({ at, run }) => append(`sent ${at} ${run}`),
    assets(version) {
      const start = `asset ${version} `;
      return new Set(
        lines()
          .filter((line) => line.startsWith(start))
          .map((line) => line.slice(start.length)),
      );
    },
    addAsset: (version, path) => append(`asset ${version} ${path}`),
  };
}

function readSent(line: string): SentRequest[] {
  const found = /^sent (\d{1,15}) (\S+)$/.exec(line);
  return found ? [{ at: Number(found[1]), run: found[2]! }] : [];
}

function shorten(file: string): void {
  try {
    if (statSync(file).size < LARGE) return;
    const lines = readText(file)!.trimEnd().split('\n');
    writeAtomically(file, `${lines.slice(-KEPT).join('\n')}\n`);
  } catch {
    // There is none yet, or it cannot be shortened: then it is longer than it need be.
  }
}
