import { definedOnly } from '../lib/defined-only.js';
import type { Secret } from '../lib/secret.js';
import { parseDatabaseUrl, projectRefOf } from './checks/database-url.js';
import { checkProjectRef, checkWebUrl, type NameProblem } from './checks/names.js';
import { addEntryProblems, addInputProblem } from './input-problems.js';
import type { InputReader } from './input-reader.js';
import { INPUTS } from './input-sources.js';
import type { Mode } from './modes.js';
import type { RunScope } from './scope.js';
import type { HealthSettings } from './settings.js';

/** `hasServer`: code is deployed too, not the database alone. */
export function readHealth(
  reader: InputReader,
  scope: RunScope,
  mode: Mode,
  hasServer: boolean,
): HealthSettings {
  const [url, ...moreUrls] = scope.url ? readUrls(reader) : [];
  const rest = scope.health ? readRest(reader) : undefined;
  const paths = reader.value('health-paths');
  if (paths.length === 0)
    reader.complain('health-paths', 'names no path', 'Give at least one, such as /api/health.');
  addEntryProblems(reader, 'health-paths', paths, checkPath);
  const successes = reader.value('health-successes');
  const unique = [...new Set(paths)];
  const urls = 1 + moreUrls.length;
  if (scope.health && unique.length * successes * urls > MOST_A_ROUND)
    reader.warn(
      'health-successes',
      `asks for more than the request budget allows: ${successes} good answers of ${unique.length} paths${urls > 1 ? ` by ${urls} URLs` : ''} each time`,
      'Ask for fewer. Where no requests are left, one good answer of each path is enough.',
    );
  const watch = reader.value('watch');
  if (watch > 0 && !scope.health && mode === 'deploy')
    reader.warn(
      'watch',
      'is not used: health is left out, so nothing is known to have been good',
      'Take health out of skip.',
    );
  if (watch > 0 && scope.health && mode === 'deploy' && !hasServer)
    reader.warn(
      'watch',
      'is not used: without a server there is no code that it could put back',
      'Give ssh-host, or leave watch out.',
    );
  const maxLatency = reader.value('health-max-latency');
  const expectVersion = reader.value('expect-version');
  return {
    ...definedOnly({ url }),
    moreUrls,
    paths: unique,
    from: reader.value('health-from'),
    timeout: reader.value('health-timeout'),
    deadline: reader.value('health-deadline'),
    ...definedOnly({ maxLatency }),
    successes,
    checkAssets: reader.value('check-assets'),
    watch,
    ...definedOnly({ expectVersion, rest }),
  };
}

/** Requests that one round of checks may need for the paths alone without a warning. */
const MOST_A_ROUND = 12;

/** Each once, in the order given. */
function readUrls(reader: InputReader): string[] {
  const urls = reader.value('health-url');
  const check = (url: string): NameProblem => checkWebUrl(url, false) ?? checkBaseUrl(url);
  // Of a single one the complaint needs not say which.
  if (urls.length === 1) addInputProblem(reader, 'health-url', check(urls[0]!));
  else addEntryProblems(reader, 'health-url', urls, check);
  return [...new Set(urls.map((url) => url.replace(/\/+$/, '')))];
}

/** The health paths are added to this URL, so nothing may follow its path; an empty query is one too. */
function checkBaseUrl(text: string): NameProblem {
  return /[?#]/.test(text)
    ? {
        wrong: 'holds a query or a fragment',
        right: 'Give the base URL, such as https://example.com; the paths go into health-paths.',
      }
    : undefined;
}

function checkPath(path: string): NameProblem {
  return path.startsWith('/') && !/\s/.test(path)
    ? undefined
    : { wrong: 'is not a path', right: 'Paths start with a slash, such as /api/health.' };
}

/** The project's REST endpoint and its key, which is never sent in plaintext off this machine. */
function readRest(reader: InputReader): HealthSettings['rest'] {
  const key = reader.value('supabase-service-role-key');
  if (key === undefined) return undefined;
  const apiUrl = reader.value('supabase-api-url').replace(/\/+$/, '');
  if (!reader.complained('supabase-api-url'))
    addInputProblem(reader, 'supabase-api-url', checkWebUrl(apiUrl, true));
  const projectRef = reader.value('supabase-project-ref');
  if (projectRef !== undefined && !reader.complained('supabase-project-ref'))
    addInputProblem(reader, 'supabase-project-ref', checkProjectRef(projectRef));
  // Self-hosted, or a test double: the endpoint is served under that URL, whatever the project.
  if (apiUrl !== INPUTS['supabase-api-url'].fallback) return { url: `${apiUrl}/rest/v1/`, key };
  const ref = projectRef ?? projectOfDatabase(reader.value('database-url'));
  if (ref !== undefined) return { url: `https://${ref}.supabase.co/rest/v1/`, key };
  reader.warn(
    'supabase-service-role-key',
    'is not used: supabase-project-ref is empty, and database-url names no Supabase project',
    "Set supabase-project-ref, the 20 letters of the project's URL, so that health asks the REST endpoint too.",
  );
  return undefined;
}

function projectOfDatabase(url: Secret | undefined): string | undefined {
  if (url === undefined) return undefined;
  const parsed = parseDatabaseUrl(url.reveal());
  return 'address' in parsed ? projectRefOf(parsed.address) : undefined;
}
