import type { Database } from '../database/connection/connection.js';
import { errorMeaning } from '../database/connection/sql-error.js';
import { askOnce } from '../http/ask-once.js';
import type { Ask, Check, TryResult } from '../http/check.js';
import { type Counted, checkFact, checkHealth } from '../http/check-health.js';
import { limitedLook, looking } from '../http/looking.js';
import { followingController, poll } from '../http/poll.js';
import { tenths } from '../http/request.js';
import { forever } from '../http/spaced-turns.js';
import { checkPlace, DATABASE_CHECKS } from '../http/verdict.js';
import { tellWaiting } from '../http/waiting-progress.js';
import { requestBudget } from '../inputs/request-budget.js';
import type { HealthSettings, Settings } from '../inputs/settings.js';
import { definedOnly } from '../lib/defined-only.js';
import { formatDuration } from '../lib/duration.js';
import type { Log } from '../lib/log.js';
import { Cancelled, type HealthFact, problemsOf } from '../lib/report.js';
import { memoryLedger, type RequestLedger } from '../lib/request-budget.js';
import { probeFleet } from '../server/fleet/probe-fleet.js';
import type { ServerWork } from '../server/fleet/server-work.js';
import type { DatabaseWork, Tools } from './tools.js';

/** The part of a run's work that asking takes. */
export interface HealthWork extends Tools {
  readonly settings: Settings;
  readonly database?: DatabaseWork | undefined;
  readonly servers?: ServerWork | undefined;
}

/** What there is to ask, and from where. */
export interface VantagePoints {
  database?: Database;
  rest?: NonNullable<HealthSettings['rest']>;
  /** The public URL, asked from the runner. */
  outside?: string;
  /** Further URLs of the same application, asked from the runner too. */
  more?: readonly string[];
  /** Asks the application on the loopback of each server, over SSH; ends by itself by the deadline of `health`. */
  inside?: (once?: boolean) => Promise<HealthFact[]>;
}

/** Where an application can be asked: `health-from` chooses, as far as URL and servers are known. */
export function vantagePoints({ database, servers, settings }: HealthWork): VantagePoints {
  const { url, moreUrls, from, rest } = settings.health;
  return {
    ...definedOnly({ database: database?.database, rest }),
    ...(url !== undefined && from !== 'vps' && from !== 'none' ? { outside: url } : {}),
    ...(moreUrls.length > 0 && from !== 'vps' && from !== 'none' ? { more: moreUrls } : {}),
    ...(servers && from !== 'runner' ? { inside: (once = false) => probeFleet(servers, once) } : {}),
  };
}

/** How it is asked. */
export interface Asking {
  /** The commit that should be serving. */
  readonly expectSha?: string;
  /** A check that was good is not asked again. */
  readonly once?: boolean;
}

export interface CheckedHealth {
  facts: HealthFact[];
  /** Milliseconds from the start until a check turned good, or was asked last where it is not; by its place. */
  settledAfter: ReadonlyMap<string, number>;
}

/**
 * Polls everything there is to ask in parallel. Facts come in a fixed order: database, public URL, servers.
 * Where the servers cannot be reached over SSH, the others still count and a warning says so.
 */
export async function askEverything(
  tools: Pick<HealthWork, 'settings' | 'log' | 'signal'>,
  points: VantagePoints,
  asking: Asking = {},
): Promise<CheckedHealth> {
  const started = performance.now();
  const { settings } = tools;
  const { health } = settings;
  const settledAfter = new Map<string, number>();
  const waiting = tellWaiting((text) => tools.log({ kind: 'progress', text }));
  const told = (from: 'runner' | 'vps') => (name: string, attempt: number, look: TryResult) => {
    const place = checkPlace({ name, from });
    if (!look.ok || waiting.has(place) || attempt === 1) settledAfter.set(place, performance.now() - started);
    waiting.note(place, attempt, look);
  };
  const onAttempt = told('runner');
  const { signal } = tools;
  try {
    const askOutside = (url: string, name: (check: string) => string): Promise<HealthFact[]> =>
      checkHealth(
        { baseUrl: url, from: 'runner' },
        { ...health, ...asking },
        {
          signal,
          onAttempt: (check, attempt, look) => onAttempt(name(check), attempt, look),
          counted: countedAt(points.outside ?? url, settings, asking.expectSha),
        },
      );
    const [data, outside, more, inside] = await Promise.all([
      poll(dataChecks(points), { ...health, ...asking, signal, onAttempt }),
      points.outside === undefined ? [] : askOutside(points.outside, (check) => check),
      Promise.all(
        (points.more ?? []).map(async (url) => {
          const name = (check: string): string => `${shownUrl(url)} ${check}`;
          const facts = await askOutside(url, name);
          return facts.map((fact) => ({ ...fact, name: name(fact.name) }));
        }),
      ),
      points.inside === undefined ? [] : askInside(tools.log, points.inside, points.outside !== undefined),
    ]);
    const now = performance.now() - started;
    for (const fact of inside) settledAfter.set(checkPlace(fact), now);
    return {
      facts: [...data.map((finding) => checkFact('runner', finding)), ...outside, ...more.flat(), ...inside],
      settledAfter,
    };
  } finally {
    waiting.stop();
  }
}

/** `shop-b.example`: stands in front of the checks of a URL that is not the first. */
function shownUrl(url: string): string {
  return url.replace(/^https:\/\//, '');
}

/** Asks the public URL for the last health path, once; nothing where no verdict came of it. */
export async function askPublicOnce({ settings, signal }: HealthWork): Promise<HealthFact[]> {
  const { url, expectVersion: _, ...health } = settings.health;
  const path = health.paths.at(-1);
  if (url === undefined || path === undefined) return [];
  const { timeout } = health;
  const counted = countedAt(url, settings);
  const fact = await askOnce({ baseUrl: url, from: 'runner' }, health, { path, timeout, signal, counted });
  return fact === undefined ? [] : [fact];
}

/** What this process has asked of each origin; all URLs of one application share that of the first. */
const ledgers = new Map<string, RequestLedger>();

/** `sha`: the version that is asked; before a deploy it is another one. */
function countedAt(url: string, settings: Settings, sha = 'before'): Counted {
  const { origin } = new URL(url);
  const ledger = ledgers.get(origin) ?? memoryLedger();
  ledgers.set(origin, ledger);
  return { ledger, budget: requestBudget(settings, 'runner'), version: sha };
}

async function askInside(
  log: Log,
  inside: NonNullable<VantagePoints['inside']>,
  outsideToo: boolean,
): Promise<HealthFact[]> {
  try {
    return await inside();
  } catch (error) {
    if (error instanceof Cancelled || !outsideToo) throw error;
    const [problem] = problemsOf(error);
    log({
      kind: 'warning',
      problem: {
        ...problem!,
        message: `the application could not be asked on the server: ${problem!.message}`,
      },
    });
    return [];
  }
}

function dataChecks(points: VantagePoints): Check[] {
  const { database, rest } = points;
  return [
    ...(database ? [{ name: DATABASE_CHECKS.database, ask: (ask: Ask) => askDatabase(database, ask) }] : []),
    ...(rest ? [{ name: DATABASE_CHECKS.rest, ask: (ask: Ask) => askRest(rest, ask) }] : []),
  ];
}

async function askDatabase(database: Database, ask: Ask): Promise<TryResult> {
  const started = performance.now();
  const look = (rest: Partial<TryResult>): TryResult => ({
    ok: false,
    status: null,
    timings: { ...NOT_MEASURED, total: tenths(performance.now() - started) },
    ...rest,
  });
  const timeout = ask.timeout();
  // A connection is made with patience, longer than one try here may take.
  const own = followingController(ask.signal);
  const timer = setTimeout(() => own.abort(), timeout);
  try {
    const sending = database.send('select 1', { deadline: timeout, signal: own.signal });
    await Promise.race([sending, forever(own.signal)]);
    return look({ ok: true });
  } catch (error) {
    if (ask.signal.aborted) throw new Cancelled();
    if (own.signal.aborted)
      return look({ fault: 'timeout', detail: `no answer within ${formatDuration(timeout)}` });
    const [problem] = problemsOf(error);
    return look({
      fault: 'query',
      detail: problem!.message,
      // A wrong password must not be tried again and again: poolers lock the door after a few.
      ...(isHopeless(error, problem!.code) ? { lasting: 'certain' } : {}),
    });
  } finally {
    clearTimeout(timer);
    own.abort();
  }
}

const NOT_MEASURED = { dns: null, connect: null, tls: null, 'first-byte': null };

/** True where the server itself refused, and not for a reason that passes. */
function isHopeless(error: unknown, code: string | undefined): boolean {
  if (code === '401' || code === '403') return true;
  const fromServer = code !== undefined && /^[0-9FHPX][0-9A-Z]{4}$/.test(code);
  return fromServer && !PASSING.has(code) && errorMeaning(error) === 'stop';
}

/** SQLSTATEs of a server that is starting, stopping or full. */
const PASSING = new Set(['53300', '57P01', '57P02', '57P03']);

/** Whether PostgREST answers for the project. The key goes into headers and nowhere else. */
function askRest(rest: NonNullable<HealthSettings['rest']>, ask: Ask): Promise<TryResult> {
  const key = rest.key.reveal();
  return looking(async () => {
    const answer = await ask.get(new URL(rest.url), {
      bodyLimit: 0,
      headers: { apikey: key, authorization: `Bearer ${key}` },
    });
    const { status, timings } = answer;
    if (status === 429) return { ...limitedLook(answer), timings };
    if (status >= 200 && status <= 299) return { ok: true, status, timings };
    const refused = status === 401 || status === 403;
    return {
      ok: false,
      status,
      timings,
      fault: 'status',
      detail: refused ? `answers ${status}: the service key is not accepted` : `answers ${status}`,
      ...(refused ? { lasting: 'likely' as const } : {}),
    };
  });
}
