import { formatBytes } from '../lib/bytes.js';
import { formatDuration } from '../lib/duration.js';
import type { Facts, LiveDatabase, LiveHost, PastRun } from '../lib/report.js';
import { shortenList } from '../lib/shorten-list.js';

/** What `status` found as rows of text, for the log and the summary alike. Not redacted or escaped yet. */

/** `2026-11-28 16:04 UTC`. */
function minute(time: string): string {
  return `${time.slice(0, 10)} ${time.slice(11, 16)} UTC`;
}

const short = (sha: string): string => sha.slice(0, 10);

function came({ since, run }: Pick<LiveHost, 'since' | 'run'>): string[] {
  return [
    ...(since === undefined ? [] : [`since ${minute(since)}`]),
    ...(run === undefined ? [] : [`run ${run}`]),
  ];
}

/** One row for each thing that is known of a part: the part, what it is, its value. */
export function liveRows(live: Facts['live'] = []): [string, string, string][] {
  return live.flatMap((fact): [string, string, string][] => {
    const name = fact.part === 'host' ? `host ${fact.host}` : 'database';
    const rows = fact.part === 'host' ? hostRows(fact) : databaseRows(fact);
    return rows.map(([what, value]) => [name, what, value]);
  });
}

function hostRows(fact: LiveHost): [string, string][] {
  const { commit, verified, environment, lock, backups = [] } = fact;
  const reach = fact['rollback-to'] ?? [];
  const free = fact['free-bytes'];
  const version = [
    ...(commit === undefined ? [] : [short(commit)]),
    ...came(fact),
    ...(commit === undefined || fact.state === 'by-hand' ? [] : [verified ? 'verified' : 'not verified']),
    ...(fact.process === undefined ? [] : [`PM2: ${fact.process}`]),
    ...(environment === undefined ? [] : [`environment ${environment}`]),
  ];
  const [newest] = backups;
  return [
    [fact.state, version.join(', ')],
    ...(fact.problem === undefined ? [] : [['problem', fact.problem] as [string, string]]),
    ...(lock ? [['lock', `run ${lock.run} since ${minute(lock.since)}`] as [string, string]] : []),
    ...(fact.state === 'unreachable'
      ? []
      : ([
          [
            'rollback-to',
            reach.length === 0
              ? 'nothing'
              : shortenList(
                  reach.map(({ release, commit: sha }) => `${short(sha)} (${release})`),
                  3,
                ),
          ],
          [
            'backups',
            newest === undefined
              ? 'none'
              : `${backups.length}, the newest ${minute(newest.at)} (${formatBytes(newest.bytes)})`,
          ],
          ...(free === undefined ? [] : [['free', formatBytes(free)]]),
        ] as [string, string][])),
  ];
}

function databaseRows(fact: LiveDatabase): [string, string][] {
  const { version, commit, environment, ahead, pending, drift } = fact;
  const parts = [
    ...(version === undefined ? [] : [version]),
    ...came(fact),
    ...(commit === undefined ? [] : [`commit ${short(commit)}`]),
    ...(environment === undefined ? [] : [`environment ${environment}`]),
  ];
  return [
    [fact.state, parts.join(', ')],
    ...(fact.problem === undefined ? [] : [['problem', fact.problem] as [string, string]]),
    ...(ahead && ahead.length > 0 ? [['ahead', shortenList(ahead)] as [string, string]] : []),
    ...(pending
      ? [['pending', pending.length === 0 ? 'none' : shortenList(pending)] as [string, string]]
      : []),
    ...(drift ? [['schema', drift] as [string, string]] : []),
  ];
}

/** One row for each deploy or rollback: when, what, commit, how it ended, how long, which run. */
export function historyRows(history: readonly PastRun[] = []): string[][] {
  return history.map((run) => [
    minute(run.at),
    run.task,
    run.commit === undefined ? '' : short(run.commit),
    run.database === undefined || run.task === 'migrate'
      ? run.outcome
      : `${run.outcome}, database ${run.database}`,
    run['duration-ms'] === undefined ? '' : formatDuration(run['duration-ms']),
    `run ${run.run}${run.attempt > 1 ? ` attempt ${run.attempt}` : ''}`,
  ]);
}

/** The two tables as lines of a log. */
export function statusLines({ live, history }: Pick<Facts, 'live' | 'history'>): string[] {
  const past = historyRows(history);
  return [
    ...aligned(liveRows(live)),
    ...(past.length === 0 ? [] : ['', 'The last deploys and rollbacks:', ...aligned(past)]),
  ];
}

function aligned(rows: readonly (readonly string[])[]): string[] {
  const widths = (rows[0] ?? []).map((_, column) => Math.max(...rows.map((row) => row[column]!.length)));
  return rows.map((row) =>
    `  ${row.map((cell, column) => cell.padEnd(widths[column]!)).join('  ')}`.trimEnd(),
  );
}
