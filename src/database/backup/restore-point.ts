import { createHash } from 'node:crypto';
import type { DatabaseConnection } from '../../lib/database-address.js';
import { Failure } from '../../lib/report.js';
import { pause } from '../../lib/retry.js';
import { askJson } from '../connection/management-api.js';
import { failureOf } from '../connection/sql-problem.js';

type Project = Extract<DatabaseConnection, { kind: 'management-api' }>;

/** Milliseconds that a restore point may take to become available. */
const WAIT = 10 * 60_000;
const PATH = 'database/backups/restore-point';

/** What the API takes, in characters. */
const LONGEST_NAME = 20;

/** One name for each attempt of a run; a run id that is too long is told by its hash. */
export function restorePointName({ id, attempt }: { id: string; attempt: number }): string {
  const name = `deploy-${id.replace(/[^A-Za-z0-9-]/g, '')}${attempt > 1 ? `-${attempt}` : ''}`;
  if (name.length <= LONGEST_NAME) return name;
  return `deploy-${createHash('sha256').update(`${id} ${attempt}`).digest('hex').slice(0, 12)}`;
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
