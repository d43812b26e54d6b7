import type { HealthFault } from '../base/report.js';
import { startTags } from './html.js';
import type { Answer } from './request.js';

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

export type Opinion = { ok: true; detail?: string } | { ok: false; fault: HealthFault; detail: string };

/** Words of a status field (or of a short text) that mean trouble; compared in lower case, dashes as blanks. */
const SICK = new Set(
  (
    'error|errors|err|fail|failed|failing|failure|fatal|critical|crit|unhealthy|not healthy|sick|bad|broken|' +
    'down|dead|offline|unavailable|not available|outage|major outage|out of service|not ok|nok|ko|' +
    'not ready|unready|disconnected|timeout|shutting down|stopped|stopping|starting|maintenance|red'
  ).split('|'),
);

/** Fields of a JSON answer that say how the application is. */
const STATUS_FIELDS = ['status', 'state', 'health', 'healthy', 'ok', 'success', 'ready', 'alive', 'result'];

/** Fields of a JSON answer, and headers, in which applications name their commit. */
const COMMIT_FIELDS = new Set(
  'commit|commitsha|commithash|sha|gitsha|gitcommit|githash|revision|deploysha|buildsha'.split('|'),
);
const COMMIT_HEADERS = ['x-commit', 'x-commit-sha', 'x-git-sha', 'x-revision', 'x-deploy-sha'];

/** Titles and first lines of error pages that some proxies and frameworks send with status 200. */
const ERROR_PAGES = [
  'internal server error',
  'bad gateway',
  'service unavailable',
  'gateway timeout',
  'gateway time-out',
  'application error',
  'not found',
  'forbidden',
  'unauthorized',
];

/**
 * Judges an answer that is no redirect. Nothing of its text is repeated in the detail except words from the
 * lists above.
 */
export function judgeAnswer(answer: Answer, expected: Expectation): Opinion {
  const { status, headers } = answer;
  if (status < 200 || status > 299) return bad('status', `answers ${status}`);
  const text = answer.body.toString('utf8');
  const html = isHtml(headers['content-type'], text);
  // A page is what `/` is for; it says nothing about health in the place of an endpoint.
  if (html && isEndpoint(expected))
    return bad('body', `answers ${status} with an HTML page, where a health answer is expected`);
  const opinion = html ? judgePage(text, status, expected.path) : judgeText(answer, text, status);
  if (!opinion.ok) return opinion;
  return expected.last ? judgeVersion(answer, text, expected, opinion) : opinion;
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

function judgePage(text: string, status: number, path: string): Opinion {
  for (const tag of startTags(text)) {
    if (tag.name === 'title' && isErrorTitle(tag.text ?? ''))
      return bad('body', `answers ${status} with an error page`);
    // A login form may well be an application's front page, but not what stands behind any other path.
    if (path !== '/' && tag.name === 'input' && tag.attributes.get('type')?.toLowerCase() === 'password')
      return bad('body', `answers ${status} with a login page`);
  }
  return { ok: true };
}

function isErrorTitle(title: string): boolean {
  const line = title.trim().toLowerCase();
  const words = line.replace(/^(error\s*)?[45]\d\d[\s:|,.-]*/, '');
  return ERROR_PAGES.some((page) => words.startsWith(page)) || (words === '' && line !== '');
}

function judgeText(answer: Answer, text: string, status: number): Opinion {
  const type = (answer.headers['content-type'] ?? '').split(';')[0]!.trim().toLowerCase();
  const declared = type === 'application/json' || type.endsWith('+json');
  const start = text.trimStart()[0];
  if (declared || start === '{' || start === '[') {
    const parsed = parseJson(text);
    if (parsed !== undefined) {
      const complaint = judgeJson(parsed.value);
      return complaint === undefined ? { ok: true } : bad('body', `answers ${status}, but ${complaint}`);
    }
    if (declared)
      return bad(
        'body',
        answer.whole
          ? `answers ${status} with JSON that cannot be read`
          : `answers ${status} with JSON longer than ${answer.body.length} bytes`,
      );
  }
  const line = text.trim().slice(0, 80).split(/\r?\n/)[0]!;
  const word = normal(line.split(/[:.,;!]/)[0]!);
  if (SICK.has(word) || isErrorTitle(line)) return bad('body', `answers ${status} with an error text`);
  return { ok: true };
}

function parseJson(text: string): { value: unknown } | undefined {
  try {
    return { value: JSON.parse(text.replace(/^\uFEFF/, '')) as unknown };
  } catch {
    return undefined;
  }
}

/** What a JSON health answer complains of, or undefined. Its own overall word counts; without one, its parts do. */
export function judgeJson(value: unknown): string | undefined {
  if (!isRecord(value)) return undefined;
  const own = fieldsComplaint(value);
  if (own.complaint !== undefined || own.decided) return own.complaint;
  for (const part of Object.values(value)) {
    if (!isRecord(part)) continue;
    for (const inner of [part, ...Object.values(part).filter(isRecord)]) {
      const { complaint } = fieldsComplaint(inner);
      if (complaint !== undefined) return `a part of it says so: ${complaint}`;
    }
  }
  return undefined;
}

function fieldsComplaint(record: Record<string, unknown>): { complaint?: string; decided: boolean } {
  let decided = false;
  for (const [key, value] of Object.entries(record)) {
    const field = STATUS_FIELDS.find((known) => known === key.toLowerCase());
    if (field !== undefined) {
      if (value === false) return { complaint: `its field "${field}" is false`, decided: true };
      if (typeof value === 'number' && value >= 400)
        return { complaint: `its field "${field}" is ${value}`, decided: true };
      if (typeof value === 'string') {
        const word = normal(value);
        if (SICK.has(word)) return { complaint: `its field "${field}" says "${word}"`, decided: true };
      }
      if (typeof value !== 'object') decided = true;
    }
    if (/^(error|errors)$/i.test(key) && isTold(value))
      return { complaint: `it holds an "${key.toLowerCase()}"`, decided: true };
    if (/^status_?code$/i.test(key) && typeof value === 'number' && value >= 400)
      return { complaint: `its status code is ${value}`, decided: true };
  }
  return { decided };
}

/** True for an error field that tells of an error: not null, false, 0, '', [] or {}. */
function isTold(value: unknown): boolean {
  if (Array.isArray(value)) return value.length > 0;
  if (isRecord(value)) return Object.keys(value).length > 0;
  return typeof value === 'string' ? !['', 'none', 'null', 'no'].includes(normal(value)) : Boolean(value);
}

function judgeVersion(answer: Answer, text: string, expected: Expectation, opinion: Opinion): Opinion {
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
  return opinion;
}

/** Commits (7 to 40 hex digits, lower case) that an answer names as its own. */
function namedCommits(answer: Answer, text: string): string[] {
  const candidates: unknown[] = COMMIT_HEADERS.map((name) => answer.headers[name]);
  const parsed = parseJson(text);
  if (parsed !== undefined && isRecord(parsed.value)) {
    for (const [key, value] of Object.entries(parsed.value)) {
      if (COMMIT_FIELDS.has(key.toLowerCase().replace(/[_-]/g, ''))) candidates.push(value);
    }
  }
  return candidates
    .filter((value): value is string => typeof value === 'string' && /^[0-9a-f]{7,40}$/i.test(value))
    .map((sha) => sha.toLowerCase());
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
