import { Failure } from '../base/report.js';
import { pause } from '../base/retry.js';
import type { DatabaseConnection } from '../settings/settings.js';

type Project = Extract<DatabaseConnection, { kind: 'management-api' }>;

/** Milliseconds that a restore point may take to become available. */
const WAIT = 10 * 60_000;

interface RestorePoint {
  name: string;
  status: 'AVAILABLE' | 'PENDING' | 'REMOVED' | 'FAILED';
}

/** The API takes at most 20 characters. */
export function restorePointName(runId: string): string {
  return `deploy-${runId.replace(/[^A-Za-z0-9-]/g, '')}`.slice(0, 20);
}

/** Makes a named restore point through the Management API and waits until it is available. */
export async function makeRestorePoint(
  project: Project,
  name: string,
  signal: AbortSignal,
  onWait: () => void,
): Promise<string> {
  const url = `${project.apiUrl}/v1/projects/${project.projectRef}/database/backups/restore-point`;
  const until = performance.now() + WAIT;
  let point = await ask(project, url, signal, { name });
  while (point.status === 'PENDING') {
    if (performance.now() > until)
      throw new Failure({
        message: `the restore point ${name} was not available after ${WAIT / 60_000} minutes`,
        next: 'Nothing was changed. Look at the project: Database, Backups.',
      });
    onWait();
    await pause(2_000, signal);
    point = await ask(project, `${url}?name=${encodeURIComponent(name)}`, signal);
  }
  if (point.status !== 'AVAILABLE')
    throw new Failure({
      message: `the restore point ${name} is ${point.status}`,
      next: 'Nothing was changed. Look at the project: Database, Backups.',
    });
  return name;
}

async function ask(
  project: Project,
  url: string,
  signal: AbortSignal,
  body?: { name: string },
): Promise<RestorePoint> {
  for (let attempt = 1; ; attempt++) {
    const response = await fetch(url, {
      method: body ? 'POST' : 'GET',
      headers: {
        authorization: `Bearer ${project.accessToken.reveal()}`,
        'content-type': 'application/json',
      },
      ...(body ? { body: JSON.stringify(body) } : {}),
      signal: AbortSignal.any([signal, AbortSignal.timeout(30_000)]),
    }).catch((error: unknown) => {
      throw new Failure({
        message: `the Management API did not answer: ${error instanceof Error ? error.message : 'no answer'}`,
        next: 'Nothing was changed. Run again.',
      });
    });
    if (response.status === 429 && attempt <= 5) {
      await pause(Math.min(60, Number(response.headers.get('retry-after')) || 5) * 1_000, signal);
      continue;
    }
    const answer: unknown = await response.json().catch(() => undefined);
    if (response.ok && isRestorePoint(answer)) return answer;
    throw new Failure({
      message: `the Management API refused the restore point`,
      code: `HTTP ${response.status}`,
      next:
        response.status === 401 || response.status === 403
          ? 'The access token needs the scope database:write, and the project a plan with point-in-time recovery. Or say backup: off.'
          : 'Nothing was changed. Run again, or say backup: off.',
    });
  }
}

function isRestorePoint(answer: unknown): answer is RestorePoint {
  return typeof answer === 'object' && answer !== null && 'status' in answer && 'name' in answer;
}
