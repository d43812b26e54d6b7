import { readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { definedOnly } from '../../lib/defined-only.js';
import { type HostState, readHostState } from '../host-state/host-state.js';
import type { AppRequest, HostStatus } from '../protocol.js';
import { type JournalEntry, readJournal } from '../state/journal.js';
import { pastRuns } from '../state/past-runs.js';
import { readPlan } from '../state/plan.js';
import { availability } from '../state/releases.js';

/** Runs and backups that are told. */
const MOST = 10;

/** What is live on this host, since when, and what was before. Writes nothing, takes no lock, asks no remote. */
export async function hostStatus(app: AppRequest, env: NodeJS.ProcessEnv): Promise<HostStatus> {
  const found = await readHostState(app, env);
  const { facts, state } = found;
  const journal = readJournal(state);
  const came = arrivalOf(journal, facts.liveRelease);
  const cutPlan = facts.lock === undefined ? readPlan(state) : undefined;
  const holder = facts.lock?.holder;
  return {
    ...definedOnly({
      environment: facts.environment,
      liveSha: facts.liveSha,
      liveRelease: facts.liveRelease,
      liveSince: came?.at,
      liveRun: came?.event === 'adopted' ? undefined : came?.run.id,
      process: facts.entry?.status,
      cutRun: cutPlan?.run.id,
    }),
    liveVerified: facts.liveVerified,
    ...(holder === undefined
      ? {}
      : { lock: { runId: holder.runId, since: holder.since, ...definedOnly({ url: holder.url }) } }),
    reachable: reachable(found),
    backups: backupsIn(join(state.path, 'backups')),
    freeBytes: facts.freeBytes,
    runs: pastRuns(state, journal).slice(0, MOST),
    problems: facts.refusals,
  };
}

/** The line by which the release that is live came, or came back. */
function arrivalOf(journal: readonly JournalEntry[], release: string | undefined): JournalEntry | undefined {
  return journal.findLast(
    (entry) =>
      entry.release === release &&
      (entry.event === 'cutover' || entry.event === 'adopted' || entry.event === 'rolled-back'),
  );
}

function reachable(found: HostState): HostStatus['reachable'] {
  const { history, facts } = found;
  const isAvailable = availability(found);
  return history.verified
    .filter(({ release }) => release !== facts.liveRelease && !history.badReleases.has(release))
    .filter(({ release }) => isAvailable(release))
    .map(({ release, sha }) => ({ release, sha }))
    .reverse();
}

function backupsIn(folder: string): HostStatus['backups'] {
  let names: string[];
  try {
    names = readdirSync(folder);
  } catch {
    return [];
  }
  // Their names begin with the time.
  return names
    .filter((name) => name.endsWith('.dump'))
    .sort()
    .reverse()
    .slice(0, MOST)
    .flatMap((name) => {
      const lying = statSync(join(folder, name), { throwIfNoEntry: false });
      return lying === undefined ? [] : [{ name, bytes: lying.size, at: Math.round(lying.mtimeMs) }];
    });
}
