import type { Run } from '../inputs/settings.js';
import { textStart } from '../lib/cut-text.js';
import type { Log } from '../lib/log.js';
import { messageOf, type Problem } from '../lib/report.js';
import { retry } from '../lib/retry.js';
import type { Secret } from '../lib/secret.js';

type Octokit = ReturnType<typeof import('@actions/github').getOctokit>;

/** GitHub's API, as far as this action uses it. */
export interface Api {
  readonly rest: Octokit['rest'];
  readonly paginate: Octokit['paginate'];
  readonly graphql: Octokit['graphql'];
  readonly owner: string;
  readonly repo: string;
}

/** Who works on the API, and with what. */
export interface ApiOptions {
  readonly run: Run;
  readonly token: Secret | undefined;
  readonly log: Log;
  /** Milliseconds for all requests of one piece of work. */
  readonly deadline?: number;
}

/** What is being done, and what the token needs for it; both appear in the warning. */
export interface ApiCall {
  readonly what: string;
  readonly permission: string;
}

/** Milliseconds. */
const DEADLINE = 15_000;

/**
 * Works on GitHub's API. Never throws, because nothing here may fail a good deploy: every fault (no permission, rate
 * limit, an outage, a slow answer) becomes a warning, and the result is undefined.
 */
export async function withApi<T>(
  options: ApiOptions,
  call: ApiCall,
  work: (api: Api) => Promise<T>,
): Promise<T | undefined> {
  const { run, token, log } = options;
  const [owner, repo] = run.repository?.split('/') ?? [];
  if (token === undefined || !owner || !repo) {
    const message = `${call.what}: ${token === undefined ? 'github-token is empty' : 'GITHUB_REPOSITORY is not set'}`;
    log({ kind: 'warning', problem: { message } });
    return undefined;
  }
  const deadline = options.deadline ?? DEADLINE;
  const signal = AbortSignal.timeout(deadline);
  try {
    const { getOctokit } = await import('@actions/github');
    const quiet = (): void => {};
    // Its own messages would go to the console past our log.
    const octokit = getOctokit(token.reveal(), {
      log: { debug: quiet, info: quiet, warn: quiet, error: quiet },
    });
    // As an option of ours it would take the place of the toolkit's, which know the proxy and the server.
    octokit.hook.before('request', ({ request }) => void Object.assign(request, { signal }));
    const { rest, paginate, graphql } = octokit;
    const api = { rest, paginate, graphql, owner, repo };
    return await retry(
      { tries: 3, deadline: deadline / 2, first: 500, longest: 2_000, worthwhile: isOutage, signal },
      () => work(api),
    );
  } catch (error) {
    log({
      kind: 'warning',
      problem: {
        ...apiProblem(error, call),
        ...(signal.aborted
          ? { message: `${call.what}: GitHub did not answer within ${deadline / 1_000} s` }
          : {}),
      },
    });
    return undefined;
  }
}

/** An error of the API in words. */
function apiProblem(error: unknown, { what, permission }: ApiCall): Problem {
  const status = statusOf(error);
  return {
    // Without the link to the documentation at its end.
    message: `${what}: ${textStart(messageOf(error).split(' - https://')[0]!, 500)}`,
    ...(status === undefined ? {} : { code: String(status) }),
    ...(status === 403 && !isRateLimit(error)
      ? { next: `Give the job the permission "${permission}".` }
      : {}),
  };
}

/** The status of an answer; the toolkit gives its errors one also where none came. */
function statusOf(error: unknown): number | undefined {
  return isRequestError(error) && error.response !== undefined ? error.status : undefined;
}

/** Worth another try: the server is in trouble, or there was no answer at all. */
function isOutage(error: unknown): boolean {
  return isRequestError(error) && (error.response === undefined || error.status >= 500);
}

function isRequestError(error: unknown): error is Error & { status: number; response?: unknown } {
  return error instanceof Error && 'status' in error && typeof error.status === 'number';
}

function isRateLimit(error: unknown): boolean {
  return error instanceof Error && /rate limit/i.test(error.message);
}
