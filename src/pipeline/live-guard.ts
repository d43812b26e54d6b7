import { whyNotUndone } from '../database/rollback/try-downs.js';
import type { Settings } from '../inputs/settings.js';
import { definedOnly } from '../lib/defined-only.js';
import { type HealthFact, type Problem, problemsOf } from '../lib/report.js';
import { shortenList } from '../lib/shorten-list.js';
import type { Host } from '../server/fleet/fleet.js';
import type { LiveLook } from '../server/fleet/run-worker.js';
import { findHarm, type LiveHarm, whyForward } from './live-harm.js';
import type { DatabaseWork } from './tools.js';

/** On one of the hosts. */
interface HostHarm extends LiveHarm {
  host: Host['name'];
}

/** What the live version of a host has answered: before the first write, and on the new schema. */
interface Heard extends Pick<HostHarm, 'host'> {
  before: readonly HealthFact[];
  looks: readonly LiveLook[];
}

/**
 * Watches what the live version answers on the new schema, from the commit until the cutover, and finds out whether the
 * down files or the new version end a harm sooner.
 */
export interface LiveGuard {
  /** Takes each answer of the live version of a host. */
  heard(host: Pick<Host, 'position' | 'name'>, look: LiveLook): void;
  /** The migrations are committed, and nothing of them is under way any more: what was heard may be acted on. */
  committed(): void;
  /**
   * Resolves with `rehearsed`, for then the new version is the shorter way; before that, with what is told where the down
   * files are to end a harm. What is heard later changes nothing.
   */
  until(rehearsed: Promise<void>): Promise<Problem | undefined>;
  /** The harm for which the new version was not waited for. */
  readonly harm: LiveHarm | undefined;
}

/** Why the live version is not asked while the database changes; undefined where it is. Pure. */
export function whyUnguarded({ skip }: Pick<Settings, 'skip'>): string | undefined {
  return skip.includes('health') ? 'skip lists health' : undefined;
}

/** `reversible`: every migration of the run has a down file. `files`: their titles. */
export function liveGuard(
  database: DatabaseWork,
  { reversible, files }: { reversible: boolean; files: readonly string[] },
): LiveGuard {
  const { settings, log } = database;
  const heard = new Map<number, Heard>();
  let committed = false;
  let decided = false;
  let closed = false;
  let ended: HostHarm | undefined;
  let undo: (harm: HostHarm) => void = () => {};
  const asked = new Promise<HostHarm>((resolve) => {
    undo = resolve;
  });
  const decide = async (harm: HostHarm): Promise<void> => {
    const { onFailure, database: how } = settings.rollback;
    const known = { onFailure, database: how, reversible };
    const obstacle = whyForward(known) === undefined ? await obstacleOf(database) : undefined;
    const why = whyForward({ ...known, ...definedOnly({ obstacle }) });
    if (closed) return;
    if (why === undefined) return undo(harm);
    log({ kind: 'warning', problem: forward(harm, files, why) });
  };
  const judge = ({ host, before, looks }: Heard): void => {
    if (!committed || decided || closed) return;
    const harm = findHarm(before, looks);
    if (harm === undefined) return;
    decided = true;
    void decide({ ...harm, host });
  };
  return {
    get harm() {
      return ended;
    },
    async until(rehearsed) {
      ended = await Promise.race([asked, rehearsed.then(() => undefined)]);
      closed = true;
      return ended && harmProblem(ended, files);
    },
    heard({ position, name }, look) {
      const known = heard.get(position) ?? { host: name, before: [], looks: [] };
      const now =
        look.after === undefined
          ? { ...known, before: look.health }
          : { ...known, looks: [...known.looks, look] };
      heard.set(position, now);
      judge(now);
    },
    committed() {
      committed = true;
      for (const known of heard.values()) judge(known);
    },
  };
}

async function obstacleOf(database: DatabaseWork): Promise<string | undefined> {
  const { rollback: wish, workingDirectory, database: rules } = database.settings;
  const { migrationsDir, downDir } = rules;
  try {
    return await whyNotUndone(database, {
      wish,
      rules,
      workingDirectory,
      migrationsDir,
      ...definedOnly({ downDir }),
    });
  } catch (error) {
    return problemsOf(error)[0]!.message;
  }
}

/** What is told of a live version that breaks on the new schema. Pure. */
function harmProblem({ host, path, detail }: HostHarm, files: readonly string[]): Problem {
  return {
    message: `the live version on ${host} breaks on the new schema: ${path} ${detail} since ${shortenList([...files])} ${files.length === 1 ? 'was' : 'were'} committed`,
    next: 'Split the change: first a deploy that both versions can work with, and what the old version needs goes in a later one (-- deploy: after-health).',
  };
}

function forward(harm: HostHarm, files: readonly string[], why: string): Problem {
  const { message, next } = harmProblem(harm, files);
  return {
    message: `${message}; the deploy goes on, because the new version ends that sooner: ${why}`,
    ...definedOnly({ next }),
  };
}

/** What the live version answers once the down files have run. Pure. */
export function afterUndoing(
  files: readonly string[],
  health: readonly HealthFact[],
  harmed: string,
): Problem {
  const list = shortenList([...files]);
  const again = health.filter(({ name }) => name === harmed || name.endsWith(`: ${harmed}`));
  if (again.length === 0)
    return {
      message: `it is not known how the live version is since the down files ran: ${harmed} was not asked`,
    };
  return again.every(({ ok }) => ok)
    ? { message: `the live version is well again since the down files ran: one of these breaks it: ${list}` }
    : {
        message: `the live version is still broken after the down files ran, so the migrations (${list}) were not the cause`,
      };
}
