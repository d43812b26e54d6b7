import { Failure } from '../base/report.js';
import { pause } from '../base/retry.js';
import type { DatabaseConnection } from '../settings/settings.js';
import { askJson } from './management-api.js';
import { failureOf } from './problem.js';

type Project = Extract<DatabaseConnection, { kind: 'management-api' }>;

/** Milliseconds that a restore point may take to become available. */
const WAIT = 10 * 60_000;
const PATH = 'database/backups/restore-point';

/** The API takes at most 20 characters. */
export function restorePointName(runId: string): string {
  return `deploy-${runId.replace(/[^A-Za-z0-9-]/g, '')}`.slice(0, 20);
}

/** Makes a named restore point through the Management API and waits until it is available. */
export async function makeRestorePoint(
  project: Project,
  name: string,
  signal: AbortSignal,
  poll = 2_000,
): Promise<void> {
  const until = performance.now() + WAIT;
  try {
    let status = statusOf(await askJson(project, 'POST', PATH, { name }, signal, false));
    while (status === 'PENDING' && performance.now() < until) {
      await pause(poll, signal);
      const path = `${PATH}?name=${encodeURIComponent(name)}`;
      status = statusOf(await askJson(project, 'GET', path, undefined, signal, false));
    }
    if (status === 'AVAILABLE') return;
    throw new Failure({
      message:
        status === 'PENDING'
          ? `the restore point ${name} was not available after ${WAIT / 60_000} minutes`
          : `the restore point ${name} is ${status ?? 'of no known status'}`,
      next: 'Nothing was changed. Look at the project (Database, Backups), or say backup: off.',
    });
  } catch (error) {
    throw failureOf(error, 'making a restore point');
  }
}

function statusOf(answer: unknown): string | undefined {
  const { status } = (answer ?? {}) as { status?: unknown };
  return typeof status === 'string' ? status : undefined;
}
