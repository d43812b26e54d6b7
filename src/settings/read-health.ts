import { Secret } from '../base/secret.js';
import { complainAbout } from './complain.js';
import type { InputName, ReadInput } from './inputs.js';
import { type Complaint, checkProjectRef, checkWebUrl } from './names.js';
import type { InputReader } from './readers.js';
import type { HealthSettings } from './settings.js';

export function readHealth(reader: InputReader, read: ReadInput): HealthSettings {
  const url = reader.optional('health-url')?.replace(/\/+$/, '');
  if (url !== undefined) complainAbout(reader, 'health-url', checkWebUrl(url, false) ?? checkBaseUrl(url));
  const paths = [...new Set(reader.list('health-paths'))];
  if (paths.length === 0)
    reader.complain('health-paths', 'names no path', 'Give at least one, such as /api/health.');
  for (const path of paths) {
    if (!path.startsWith('/') || /\s/.test(path))
      reader.complain(
        'health-paths',
        `${JSON.stringify(path)} is not a path`,
        'Paths start with a slash, such as /api/health.',
      );
  }
  const maxLatency = reader.optionalDuration('health-max-latency');
  const expectVersion = reader.optional('expect-version');
  const key = read('supabase-service-role-key');
  const projectRef = reader.text('supabase-project-ref');
  const apiUrl = reader.text('supabase-api-url');
  // The service key is sent there: never in plaintext off this machine, whatever the database is reached by.
  const sendsKey = key !== '' && projectRef !== '';
  const complained = (name: InputName): boolean =>
    reader.problems.some(({ message }) => message.startsWith(`${name}:`));
  if (sendsKey && !complained('supabase-api-url'))
    complainAbout(reader, 'supabase-api-url', checkWebUrl(apiUrl, true));
  if (sendsKey && !complained('supabase-project-ref'))
    complainAbout(reader, 'supabase-project-ref', checkProjectRef(projectRef));
  return {
    ...(url === undefined ? {} : { url }),
    paths,
    from: reader.choice('health-from', ['both', 'runner', 'vps']),
    timeout: reader.duration('health-timeout'),
    deadline: reader.duration('health-deadline'),
    ...(maxLatency === undefined ? {} : { maxLatency }),
    successes: reader.integer('health-successes', 1, 100),
    checkAssets: reader.boolean('check-assets'),
    ...(expectVersion === undefined ? {} : { expectVersion }),
    ...(sendsKey ? { rest: { url: restUrl(projectRef, apiUrl), key: new Secret(key) } } : {}),
  };
}

/** The project's REST endpoint; with another API URL (self-hosted, a test double) it is served under that one. */
function restUrl(projectRef: string, apiUrl: string): string {
  const base = apiUrl.replace(/\/+$/, '');
  return base === 'https://api.supabase.com'
    ? `https://${projectRef}.supabase.co/rest/v1/`
    : `${base}/rest/v1/`;
}

/** The health paths are added to this URL, so nothing may follow its path. */
function checkBaseUrl(text: string): Complaint {
  const { search, hash } = new URL(text);
  return search === '' && hash === ''
    ? undefined
    : {
        wrong: 'holds a query or a fragment',
        right: 'Give the base URL, such as https://example.com; the paths go into health-paths.',
      };
}
