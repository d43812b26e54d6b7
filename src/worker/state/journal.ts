import { definedOnly } from '../../lib/defined-only.js';
import { withReserve } from '../host/disk-reserve.js';
import { appendLine, readText } from '../host/files.js';
import { parseRecord, recordText } from '../host/records.js';
import type { RunRequest } from '../protocol.js';
import { handMadeName } from './release-name.js';
import type { StateFolder } from './state-folder.js';

export interface ReleaseRef {
  release: string;
  sha: string;
}

/**
 * What happened to the application, one line each, never changed afterwards.
 * `adopted`: a commit that was live before our first deploy answered health, and counts as verified.
 * `cutover`: the swap has begun. `verified`: the new release answered; it is live. `put-back`: it did not, and the
 * old one is live again. `broken`: neither could be verified. `rolled-back`: a person or a failed run took the live
 * release back to `release`. `repaired`: a run that was cut had left a plan, and `release` is live again.
 */
export interface JournalEntry extends ReleaseRef {
  event: 'adopted' | 'cutover' | 'verified' | 'put-back' | 'broken' | 'rolled-back' | 'repaired' | 'pruned';
  at: number;
  run: { id: string; attempt: number; url?: string };
  /** The release that was live before. */
  from?: ReleaseRef;
  /** PM2's name of the application that was restarted; several can share one checkout. */
  app?: string;
  detail?: string;
}

/** @throws a Failure where another version wrote what this one cannot read. */
export function readJournal(folder: StateFolder): JournalEntry[] {
  return parseJournal(readText(folder.journal) ?? '', folder.journal);
}

/**
 * The entries of a journal. Each line says its own format, because lines of several versions follow one another. One that a
 * power cut tore is left out: what it would have said did not finish. @throws a Failure.
 */
export function parseJournal(text: string, file: string): JournalEntry[] {
  return text.split('\n').flatMap((line, index) => {
    if (isTorn(line)) return [];
    return [parseRecord<JournalEntry>(line, file, `Line ${index + 1} of ${file}`)];
  });
}

function isTorn(line: string): boolean {
  try {
    JSON.parse(line);
    return false;
  } catch {
    return true;
  }
}

/** @throws where the line cannot be written, also not with the room of the reserve; nothing of it is there then. */
export function writeJournal(
  folder: StateFolder,
  run: RunRequest,
  entry: Omit<JournalEntry, 'at' | 'run'>,
): void {
  const { id, attempt, url } = run;
  // A line torn by a power cut must not swallow the next one.
  const torn = (readText(folder.journal) ?? '\n').endsWith('\n') ? '' : '\n';
  const line: JournalEntry = {
    ...entry,
    at: Date.now(),
    run: { id, attempt, ...definedOnly({ url }) },
  };
  withReserve(() => appendLine(folder.journal, torn + recordText(line)));
}

/** What the journal says about now. */
export interface History {
  live?: ReleaseRef;
  liveVerified: boolean;
  /** What is in place was brought back, and did not prove itself. */
  broken: boolean;
  /** Verified releases in the order they went live, oldest first; each release once, at its first time. */
  verified: ReleaseRef[];
  /** SHAs that were rolled back and not verified again since. */
  badShas: Set<string>;
  badReleases: Set<string>;
  pruned: Set<string>;
  /** Each cutover that was verified: which run made it, and what was live before. */
  deploys: { runId: string; to: ReleaseRef; from?: ReleaseRef }[];
  /** Each release that came, by a cutover of ours or found live, whether or not it stayed; oldest first. */
  arrivals: { release: string; runId?: string }[];
  /** Runs whose cutover was taken back by the server itself. */
  putBack: Set<string>;
  /** Applications that were restarted since the live commit lies on the disk; undefined where the journal names none. */
  restarted: Set<string | undefined>;
  /** The same before the newest cutover: a version that is put back is still run by those that it did not restart. */
  restartedBefore: Set<string | undefined>;
}

/** A commit that people brought live by hand. What it leaves must not go under the name of another one. */
export function handMade(sha: string): ReleaseRef {
  return { release: handMadeName(sha), sha };
}

/**
 * The history with what is really live: a commit that our deploys did not bring came by hand, after all that the journal
 * knows.
 */
export function historyAsFound(history: History, liveSha: string | undefined): History {
  if (liveSha === undefined || history.live === undefined || history.live.sha === liveSha) return history;
  const live = handMade(liveSha);
  return {
    ...history,
    live,
    liveVerified: false,
    arrivals: [...history.arrivals, { release: live.release }],
  };
}

const isSameRelease = (a: ReleaseRef | undefined, b: ReleaseRef | undefined): boolean =>
  a?.release === b?.release;

/** Reads the journal from its beginning; order of lines alone decides, never the clock. */
export function historyOf(entries: readonly JournalEntry[]): History {
  const history: History = {
    liveVerified: false,
    broken: false,
    verified: [],
    badShas: new Set(),
    badReleases: new Set(),
    pruned: new Set(),
    deploys: [],
    arrivals: [],
    putBack: new Set(),
    restarted: new Set(),
    restartedBefore: new Set(),
  };
  for (const entry of entries) note(history, entry);
  return history;
}

function note(history: History, entry: JournalEntry): void {
  const ref: ReleaseRef = { release: entry.release, sha: entry.sha };
  if (entry.event !== 'pruned') history.broken = entry.event === 'broken';
  switch (entry.event) {
    case 'cutover':
      history.arrivals.push({ release: ref.release, runId: entry.run.id });
      history.restartedBefore = history.restarted;
      if (history.live?.sha !== ref.sha) history.restarted = new Set();
      history.live = ref;
      history.liveVerified = false;
      return;
    case 'pruned':
      history.pruned.add(ref.release);
      return;
    case 'broken':
      history.live = ref;
      history.liveVerified = false;
      return;
    case 'put-back':
      history.putBack.add(entry.run.id);
      if (entry.from?.release !== ref.release) break;
      // A first deploy failed: there was nothing to go back to, and nothing is live.
      delete history.live;
      history.liveVerified = false;
      return;
    case 'rolled-back':
      markBad(history, ref, entry.from);
      break;
    case 'adopted':
    case 'verified':
      if (entry.event === 'adopted') history.arrivals.push({ release: ref.release });
      if (entry.event === 'verified')
        history.deploys.push({
          runId: entry.run.id,
          to: ref,
          ...definedOnly({ from: entry.from }),
        });
      if (!history.verified.some((known) => isSameRelease(known, ref))) history.verified.push(ref);
      break;
    default:
      break;
  }
  noteRestart(history, entry);
  history.badShas.delete(ref.sha);
  history.badReleases.delete(ref.release);
  history.live = ref;
  history.liveVerified = history.verified.some((known) => isSameRelease(known, ref));
}

/** Whoever was restarted runs what lies on the disk; another commit there leaves the others with what they had. */
function noteRestart(history: History, { event, sha, app }: JournalEntry): void {
  const undone = event === 'put-back' || event === 'repaired';
  const kept = undone ? history.restartedBefore : history.live?.sha === sha ? history.restarted : [];
  history.restarted = new Set([...kept, app]);
}

/** True where an application was restarted for the commit that lies on the disk, as far as the journal says. */
export function runsLive({ restarted }: History, app: string): boolean {
  return restarted.size === 0 || restarted.has(app) || restarted.has(undefined);
}

/** Going back marks what was left; going forward again (a person named a newer release) marks nothing. */
function markBad(history: History, to: ReleaseRef, from: ReleaseRef | undefined): void {
  if (!from || isSameRelease(from, to)) return;
  const index = (ref: ReleaseRef): number => history.verified.findIndex((known) => isSameRelease(known, ref));
  if (index(from) >= 0 && index(from) < index(to)) return;
  history.badReleases.add(from.release);
  if (from.sha !== to.sha) history.badShas.add(from.sha);
}
