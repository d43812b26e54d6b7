import { createServer, type IncomingMessage } from 'node:http';
import type { AddressInfo } from 'node:net';

/** A local double of the part of GitHub's API that the action uses, in its published shapes. */
export interface GitHubApi {
  readonly url: string;
  readonly deployments: Deployment[];
  readonly comments: Comment[];
  /** Every request as `METHOD /path`. */
  readonly requests: string[];
  /** What the next requests are answered with instead; `undefined` works normally again. */
  fail(how: Fault | undefined, times?: number): void;
  close(): Promise<void>;
}

export type Fault =
  | 'forbidden'
  | 'secondary-rate-limit'
  | 'rate-limit'
  | 'outage'
  | 'hang'
  | 'cut'
  | 'not-found';

export interface Deployment {
  id: number;
  ref: string;
  environment: string;
  /** As GitHub has it: true for the environment `production`, unless told otherwise. */
  production_environment: boolean;
  required_contexts?: string[];
  /** In the order in which they were set. */
  statuses: { state: string; description?: string; log_url?: string; environment_url?: string }[];
}

interface Comment {
  id: number;
  body: string;
  user: { id: number; login: string } | null;
}

/** Whose the token of a job is. */
export const JOB_USER = { id: 41_898_282, login: 'github-actions[bot]' };

const DOCUMENTATION = 'https://docs.github.com/rest';

type Answer = [status: number, body: unknown, headers?: Record<string, string>] | 'hang' | 'cut';

const NOT_FOUND: Answer = [404, { message: 'Not Found', documentation_url: DOCUMENTATION }];

const FAULTS: Readonly<Record<Exclude<Fault, 'hang' | 'cut'>, [number, string, Record<string, string>]>> = {
  forbidden: [403, 'Resource not accessible by integration', {}],
  'secondary-rate-limit': [
    403,
    'You have exceeded a secondary rate limit. Please wait a few minutes before you try again.',
    { 'retry-after': '60' },
  ],
  'rate-limit': [
    429,
    'API rate limit exceeded for installation.',
    { 'x-ratelimit-remaining': '0', 'x-ratelimit-reset': '1999999999' },
  ],
  outage: [502, 'Server Error', {}],
  'not-found': [404, 'Not Found', {}],
};

/** What GitHub does by itself after a success (auto_inactive), and does not do for production environments. */
function retireBefore(good: Deployment, all: readonly Deployment[]): void {
  for (const each of all.slice(0, all.indexOf(good))) {
    const same = each.environment === good.environment && !each.production_environment;
    if (same && stateOf(each) === 'success') each.statuses.push({ state: 'inactive' });
  }
}

/** The state that the deployment is in now. */
export function stateOf(deployment: Deployment): string | undefined {
  return deployment.statuses.at(-1)?.state;
}

/** The states that it has been in, each once: a status that only says another phase changes none. */
export function changesOfState({ statuses }: Deployment): string[] {
  return statuses.map(({ state }) => state).filter((state, index, all) => state !== all[index - 1]);
}

/** Starts the double on a free port of loopback; it expects the given token. */
export async function startGitHubApi(token: string): Promise<GitHubApi> {
  const deployments: Deployment[] = [];
  const comments: Comment[] = [];
  const requests: string[] = [];
  let fault: { how: Fault; left: number } | undefined;
  let nextId = 4_000;

  const route = (call: string, url: URL, host: string, body: Record<string, unknown>): Answer => {
    const status = /^(GET|POST) \/deployments\/(\d+)\/statuses$/.exec(call);
    const edited = /^PATCH \/issues\/comments\/(\d+)$/.exec(call);
    if (call === 'POST /graphql') {
      if (body.query !== 'query { viewer { databaseId } }') throw new Error(`unknown query ${body.query}`);
      return [200, { data: { viewer: { databaseId: JOB_USER.id } } }];
    }
    // As GitHub has it for every token that is not a person's.
    if (call === 'GET /user') return [403, { message: 'Resource not accessible by integration' }];
    if (call === 'GET /deployments') {
      const of = deployments.filter((each) => each.environment === url.searchParams.get('environment'));
      return [200, of.toReversed().slice(0, Number(url.searchParams.get('per_page') ?? '30'))];
    }
    if (call === 'POST /deployments') {
      const deployment = {
        production_environment: body.environment === 'production',
        ...body,
        id: nextId++,
        statuses: [],
      } as unknown as Deployment;
      deployments.push(deployment);
      return [201, { ...deployment, task: 'deploy' }];
    }
    if (status) {
      const deployment = deployments.find((each) => each.id === Number(status[2]));
      if (!deployment) return NOT_FOUND;
      if (status[1] === 'GET') return [200, deployment.statuses.toReversed()];
      deployment.statuses.push(body as unknown as Deployment['statuses'][number]);
      if (body.state === 'success') retireBefore(deployment, deployments);
      return [201, { ...body, id: nextId++ }];
    }
    if (/^GET \/issues\/\d+\/comments$/.test(call)) {
      const size = Number(url.searchParams.get('per_page') ?? '30');
      const page = Number(url.searchParams.get('page') ?? '1');
      const more = page * size < comments.length;
      const next = `<http://${host}${url.pathname}?per_page=${size}&page=${page + 1}>; rel="next"`;
      return [200, comments.slice((page - 1) * size, page * size), more ? { link: next } : {}];
    }
    const text = String(body.body);
    if ((/^POST \/issues\/\d+\/comments$/.test(call) || edited) && text.length > 65_536)
      return [422, { message: 'Validation Failed: body is too long (maximum is 65536 characters)' }];
    if (/^POST \/issues\/\d+\/comments$/.test(call)) {
      const comment = { id: nextId++, body: text, user: JOB_USER };
      comments.push(comment);
      return [201, comment];
    }
    const comment = edited && comments.find((each) => each.id === Number(edited[1]));
    if (!comment) return NOT_FOUND;
    comment.body = text;
    return [200, comment];
  };
  const reply = (request: IncomingMessage, text: string): Answer => {
    if (fault !== undefined && fault.left > 0) {
      fault.left--;
      if (fault.how === 'hang' || fault.how === 'cut') return fault.how;
      const [status, message, headers] = FAULTS[fault.how];
      return [status, { message, documentation_url: DOCUMENTATION, status: String(status) }, headers];
    }
    if (request.headers.authorization !== `token ${token}`)
      return [401, { message: 'Bad credentials', documentation_url: DOCUMENTATION }];
    const url = new URL(request.url ?? '/', 'http://api');
    const path = /^\/repos\/[^/]+\/[^/]+(\/.*)$/.exec(url.pathname)?.[1] ?? url.pathname;
    const body = text === '' ? {} : (JSON.parse(text) as Record<string, unknown>);
    return route(`${request.method} ${path}`, url, request.headers.host ?? '', body);
  };
  const server = createServer(async (request, response) => {
    requests.push(`${request.method} ${request.url}`);
    let text = '';
    for await (const chunk of request) text += chunk;
    const answer = reply(request, text);
    if (answer === 'hang') return;
    if (answer === 'cut') {
      request.socket.destroy();
      return;
    }
    const [status, body, headers] = answer;
    response.writeHead(status, { 'content-type': 'application/json; charset=utf-8', ...headers });
    response.end(JSON.stringify(body));
  });
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    deployments,
    comments,
    requests,
    fail(how, times = Number.POSITIVE_INFINITY) {
      fault = how === undefined ? undefined : { how, left: times };
    },
    close() {
      server.closeAllConnections();
      return new Promise((done) => server.close(() => done()));
    },
  };
}
