import { randomBytes, randomUUID } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { given } from '../base/given.js';
import type { Run } from './settings.js';

interface EventPayload {
  pull_request?: {
    number?: number;
    head?: { sha?: string; repo?: { full_name?: string } | null };
    base?: { repo?: { full_name?: string } };
  };
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
  return {
    id: id ?? madeUpId(),
    attempt: Number.isSafeInteger(attempt) && attempt > 0 ? attempt : 1,
    session: randomUUID(),
    serverUrl,
    fork: isFork(payload),
    ...(id && repository ? { url: `${serverUrl}/${repository}/actions/runs/${id}` } : {}),
    ...(repository ? { repository } : {}),
    ...given({
      sha: env.GITHUB_SHA || undefined,
      actor: env.GITHUB_ACTOR || undefined,
      event: env.GITHUB_EVENT_NAME || undefined,
    }),
    ...(typeof pullRequest === 'number' ? { pullRequest } : {}),
    ...(typeof head === 'string' ? { pullRequestHead: head } : {}),
  };
}

/** A pull request whose head is in another repository, or in one that has been deleted. */
function isFork(payload: EventPayload): boolean {
  const pull = payload.pull_request;
  if (pull === undefined) return false;
  const head = pull.head?.repo?.full_name;
  return head === undefined || head !== pull.base?.repo?.full_name;
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
