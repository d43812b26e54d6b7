import { askOnce } from '../../http/ask-once.js';
import { definedOnly } from '../../lib/defined-only.js';
import { requestsLeft } from '../../lib/request-budget.js';
import { readText } from '../host/files.js';
import { currentHolder } from '../host/lock.js';
import { countedIn, ledgerOf, loopbackTarget } from '../host/loopback-health.js';
import { openToolbox, type Toolbox } from '../host/toolbox.js';
import type { AppRequest, HostWatch, WatchedProgram, WatchRequest } from '../protocol.js';
import { historyOf, readJournal } from '../state/journal.js';
import { layoutOf, strategyFor } from '../state/layout.js';
import { locateStateFolder } from '../state/state-folder.js';
import { supervisorOf } from '../supervisor/choice.js';
import type { Instance } from '../supervisor/entry.js';

/**
 * One light look at what is live, while a run watches it: one request at most, what the supervisor tells of its programs (the
 * others of the checkout too, which answer nobody), and whether another run is at work or has deployed. Asks neither git
 * nor the lock, and writes nothing but its request.
 */
export async function watchLive(
  { app, health: asked }: WatchRequest,
  env: NodeJS.ProcessEnv,
): Promise<HostWatch> {
  const plain = openToolbox(env);
  const tools = plain.withFolders(supervisorOf(plain, app).programFolders());
  const state = locateStateFolder(app.appPath, tools.home);
  const history = historyOf(readJournal(state));
  const layout = layoutOf(app.appPath);
  const strategy = strategyFor(layout, app.strategy) ?? 'in-place';
  const { entry, facts } = await supervisorOf(tools, app).look({ layout, strategy, next: false });
  const health = countedIn(state.requests, asked);
  const path = health.paths.at(-1);
  const { port } = facts;
  const counted = health.budget && {
    ledger: ledgerOf(health.budget),
    budget: health.budget,
    version: history.live?.sha ?? '-',
  };
  const fact =
    port === undefined || path === undefined
      ? undefined
      : await askOnce(loopbackTarget(port, health), health, {
          path,
          timeout: health.timeout,
          signal: new AbortController().signal,
          counted,
        });
  const arrived = history.arrivals.findLast(({ release }) => release === history.live?.release);
  return {
    health: fact === undefined ? [] : [fact],
    ...definedOnly({
      liveRun: arrived?.runId,
      heldBy: currentHolder(state)?.runId,
      requestsLeft: counted && requestsLeft(counted.ledger.sent(), counted.budget, Date.now()),
    }),
    programs: [...(entry?.instances ?? []), ...(await otherInstances(tools, app))].map(watchedProgram),
  };
}

async function otherInstances(tools: Toolbox, app: AppRequest): Promise<Instance[]> {
  const instances: Instance[] = [];
  for (const appName of app.others ?? [])
    instances.push(...(await supervisorOf(tools, { ...app, appName }).running(undefined)).instances);
  return instances;
}

function watchedProgram({ id, pid, restarts, status }: Instance): WatchedProgram {
  return { id, restarts, status, ...definedOnly({ bytes: residentBytes(pid) }) };
}

/** Bytes of a page of memory; every Linux that runs Node on x86 and most on ARM has these. */
const PAGE = 4_096;

/** The memory that a program holds now; undefined where that cannot be read. */
function residentBytes(pid: number): number | undefined {
  const pages = Number(readStatm(pid)?.split(' ')[1]);
  return Number.isSafeInteger(pages) ? pages * PAGE : undefined;
}

function readStatm(pid: number): string | undefined {
  try {
    return readText(`/proc/${pid}/statm`);
  } catch {
    return undefined;
  }
}
