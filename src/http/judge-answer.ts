import type { HealthFault } from '../lib/report.js';
import type { HttpAnswer } from './request.js';

/** What is asked of one path's answer. */
export interface Expectation {
  /** As in `health-paths`. */
  path: string;
  /** The last health path is the one that reports health and version. */
  last: boolean;
  expectVersion?: string;
  /** The commit that should be serving, 7 to 40 hex digits; an answer that names another is of the wrong build. */
  expectSha?: string;
}

/** Whether an answer is healthy, and why not. */
export type Opinion = { ok: true } | { ok: false; fault: HealthFault; detail: string };

/** Words of a status field that mean trouble; compared in lower case, dashes as blanks. docs/health.md lists them. */
const UNHEALTHY = new Set(
  (
    'error|errors|fail|failed|failing|failure|fatal|critical|unhealthy|not healthy|down|dead|offline|' +
    'unavailable|not available|outage|out of service|not ok|not ready|unready|' +
    'starting|stopping|stopped|shutting down'
  ).split('|'),
);

/** Fields of a JSON answer that say how the application is. */
const STATUS_FIELDS = ['status', 'state', 'health', 'healthy', 'ok', 'success', 'ready', 'alive'];

/**
 * Fields of a JSON answer, and headers, in which applications name their commit, in full or shortened. A revision is as
 * often a date or a counter, so that only a whole commit counts there.
 */
const COMMIT_FIELDS = new Set(
  'commit|commitsha|commithash|sha|gitsha|gitcommit|githash|deploysha|buildsha'.split('|'),
);
const COMMIT_HEADERS = ['x-commit', 'x-commit-sha', 'x-git-sha', 'x-deploy-sha'];
const REVISION_FIELD = 'revision';
const REVISION_HEADER = 'x-revision';

/** Told of a page that answers in the place of a health endpoint. */
export const PAGE_INSTEAD = 'with an HTML page, where a health answer is expected';

/**
 * Judges an answer that is no redirect: by its status, by the status word of a JSON body, by HTML where a health answer
 * belongs, and by its version. What a page or text says is no evidence. Nothing of the answer is repeated in the detail
 * except words from the lists above.
 */
export function judgeAnswer(answer: HttpAnswer, expected: Expectation): Opinion {
  const { status, headers } = answer;
  if (status < 200 || status > 299) return bad('status', `answers ${status}`);
  const text = answer.body.toString('utf8');
  const html = isHtml(headers['content-type'], text);
  // A page is what `/` is for; it says nothing about health in the place of an endpoint.
  if (html && isEndpoint(expected)) return bad('body', `answers ${status} ${PAGE_INSTEAD}`);
  const complaint = html ? undefined : jsonComplaint(answer, text);
  if (complaint !== undefined) return bad('body', `answers ${status}${complaint}`);
  return expected.last ? judgeVersion(answer, text, expected) : { ok: true };
}

function bad(fault: HealthFault, detail: string): Opinion {
  return { ok: false, fault, detail };
}

/** True where a health answer is expected and no page: the last path, and those of an API. */
export function isEndpoint({ path, last }: Pick<Expectation, 'path' | 'last'>): boolean {
  return (last && path !== '/') || isApiPath(path);
}

function isApiPath(path: string): boolean {
  return path === '/api' || path.startsWith('/api/') || path.includes('/api/');
}

/** True for an HTML answer, by its declared type or by how it begins. */
export function isHtml(contentType: string | undefined, text: string): boolean {
  const type = (contentType ?? '').split(';')[0]!.trim().toLowerCase();
  if (type === 'text/html' || type === 'application/xhtml+xml') return true;
  const start = text
    .slice(0, 200)
    .replace(/^\uFEFF/, '')
    .trimStart()
    .toLowerCase();
  return start.startsWith('<!doctype html') || start.startsWith('<html');
}

/** What is wrong with a body that is JSON, or that is declared as such; undefined for any other. */
function jsonComplaint(answer: HttpAnswer, text: string): string | undefined {
  const type = (answer.headers['content-type'] ?? '').split(';')[0]!.trim().toLowerCase();
  const parsed = parseJson(text);
  if (parsed !== undefined) {
    const complaint = judgeJson(parsed.value);
    return complaint === undefined ? undefined : `, but ${complaint}`;
  }
  if (type !== 'application/json' && !type.endsWith('+json')) return undefined;
  return answer.whole
    ? ' with JSON that cannot be read'
    : ` with JSON longer than ${answer.body.length} bytes`;
}

function parseJson(text: string): { value: unknown } | undefined {
  try {
    return { value: JSON.parse(text.replace(/^\uFEFF/, '')) as unknown };
  } catch {
    return undefined;
  }
}

/**
 * What a JSON health answer complains of, or undefined. Only its own status counts: whether a part of it is needed is
 * for the application to say.
 */
export function judgeJson(value: unknown): string | undefined {
  if (!isRecord(value)) return undefined;
  for (const [key, said] of Object.entries(value)) {
    const field = STATUS_FIELDS.find((known) => known === key.toLowerCase());
    if (field === undefined) continue;
    if (said === false) return `its field "${field}" is false`;
    // An HTTP status, as problem documents have it.
    if (typeof said === 'number' && said >= 400 && said <= 599) return `its field "${field}" is ${said}`;
    if (typeof said === 'string' && UNHEALTHY.has(normal(said)))
      return `its field "${field}" says "${normal(said)}"`;
  }
  return undefined;
}

function judgeVersion(answer: HttpAnswer, text: string, expected: Expectation): Opinion {
  const headers = Object.values(answer.headers).flat();
  const holds = (wanted: string): boolean =>
    text.includes(wanted) || headers.some((value) => value?.includes(wanted));
  if (expected.expectVersion !== undefined && !holds(expected.expectVersion))
    return bad('version', `answers ${answer.status}, but not as the expected version`);
  if (expected.expectSha !== undefined) {
    const named = namedCommits(answer, text);
    const wanted = expected.expectSha.toLowerCase();
    if (named.length > 0 && !named.some((sha) => wanted.startsWith(sha) || sha.startsWith(wanted)))
      return bad(
        'version',
        `answers ${answer.status}, but as commit ${named[0]!.slice(0, 7)} instead of ${wanted.slice(0, 7)}`,
      );
  }
  return { ok: true };
}

/** Commits (7 to 40 hex digits, lower case) that an answer names as its own, for certain. */
function namedCommits(answer: HttpAnswer, text: string): string[] {
  const commits: unknown[] = COMMIT_HEADERS.map((name) => answer.headers[name]);
  const revisions: unknown[] = [answer.headers[REVISION_HEADER]];
  const parsed = parseJson(text);
  if (parsed !== undefined && isRecord(parsed.value)) {
    for (const [key, value] of Object.entries(parsed.value)) {
      const field = key.toLowerCase().replace(/[_-]/g, '');
      if (COMMIT_FIELDS.has(field)) commits.push(value);
      if (field === REVISION_FIELD) revisions.push(value);
    }
  }
  return [...commits.filter(isCommit), ...revisions.filter(isWholeCommit)].map((sha) => sha.toLowerCase());
}

function isWholeCommit(value: unknown): value is string {
  return typeof value === 'string' && /^[0-9a-f]{40}$/i.test(value);
}

/** A shortened commit of decimal digits alone could as well be a date or a number. */
function isCommit(value: unknown): value is string {
  if (isWholeCommit(value)) return true;
  return typeof value === 'string' && /^[0-9a-f]{7,40}$/i.test(value) && !/^\d+$/.test(value);
}

function normal(text: string): string {
  return text
    .trim()
    .toLowerCase()
    .replace(/[-_\s]+/g, ' ');
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
