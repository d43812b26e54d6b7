import { randomBytes, randomUUID } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { definedOnly } from '../lib/defined-only.js';
import type { Run } from './settings.js';

interface EventRepository {
  full_name?: string;
}

interface EventPayload {
  repository?: EventRepository;
  pull_request?: {
    number?: number;
    head?: { sha?: string; repo?: EventRepository | null } | null;
    base?: { repo?: EventRepository };
  } | null;
  workflow_run?: { head_repository?: EventRepository | null } | null;
}

/** Who runs, from the variables that GitHub sets. Outside of Actions the run gets an id of its own. */
export function runIdentity(env: NodeJS.ProcessEnv): Run & { readonly session: string } {
  const payload = readPayload(env.GITHUB_EVENT_PATH);
  const serverUrl = (env.GITHUB_SERVER_URL || 'https://github.com').replace(/\/+$/, '');
  const repository = env.GITHUB_REPOSITORY || undefined;
  const id = env.GITHUB_RUN_ID || undefined;
  const attempt = Number(env.GITHUB_RUN_ATTEMPT || '1');
  const pullRequest = payload.pull_request?.number;
  const head = payload.pull_request?.head?.sha;
  const headOf = headOfEvent(payload, env.GITHUB_EVENT_NAME ?? '');
  return {
    id: id ?? madeUpId(),
    attempt: Number.isSafeInteger(attempt) && attempt > 0 ? attempt : 1,
    session: randomUUID(),
    serverUrl,
    ...definedOnly({ headOf }),
    fork: headOf !== undefined && isForeign(payload, repository),
    ...(id && repository ? { url: `${serverUrl}/${repository}/actions/runs/${id}` } : {}),
    ...(repository ? { repository } : {}),
    ...definedOnly({
      branchOrTag: env.GITHUB_REF?.match(/^refs\/(heads|tags)\/.+/)?.[0],
      sha: env.GITHUB_SHA || undefined,
      actor: env.GITHUB_ACTOR || undefined,
      event: env.GITHUB_EVENT_NAME || undefined,
    }),
    ...(typeof pullRequest === 'number' ? { pullRequest } : {}),
    ...(typeof head === 'string' ? { pullRequestHead: head } : {}),
  };
}

/**
 * What of the event says whose code it brings, whatever the event is called: a review has a pull request as well. The
 * name is asked only where the payload is missing, so that one which cannot be read never counts as a harmless one.
 */
function headOfEvent({ pull_request, workflow_run }: EventPayload, event: string): Run['headOf'] {
  if (pull_request) return 'pull request';
  if (workflow_run) return 'workflow run';
  if (event.startsWith('pull_request')) return 'pull request';
  return event === 'workflow_run' ? 'workflow run' : undefined;
}

/** True where the head is in another repository than this one, or in one that has been deleted. */
function isForeign({ pull_request, workflow_run, repository }: EventPayload, own?: string): boolean {
  const here = own ?? repository?.full_name ?? pull_request?.base?.repo?.full_name;
  const heads = [
    ...(pull_request ? [pull_request.head?.repo?.full_name] : []),
    ...(workflow_run ? [workflow_run.head_repository?.full_name] : []),
  ];
  return heads.length === 0 || heads.some((head) => head === undefined || head !== here);
}

function readPayload(path: string | undefined): EventPayload {
  if (!path) return {};
  try {
    const payload: unknown = JSON.parse(readFileSync(path, 'utf8'));
    return typeof payload === 'object' && payload !== null ? payload : {};
  } catch {
    // A runner without an event file, or a step that changed the variable: there is just no pull request then.
    return {};
  }
}

/** `local-20250102T030405-9f3a`: sorts by time and does not look like GitHub's numbers. */
function madeUpId(): string {
  const time = new Date().toISOString().slice(0, 19).replace(/[-:]/g, '');
  return `local-${time}-${randomBytes(2).toString('hex')}`;
}
