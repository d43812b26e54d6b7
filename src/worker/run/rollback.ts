import { join } from 'node:path';
import { catchProblem } from '../../lib/catch-problem.js';
import { definedOnly } from '../../lib/defined-only.js';
import { Failure, type HealthFact, type Problem, problemsOf } from '../../lib/report.js';
import { shortenList } from '../../lib/shorten-list.js';
import { keepOpenPages } from '../build/build-output.js';
import { handWork, warnUnwritten } from '../cutover/cutover.js';
import { asideFor, extrasOf, liveRef, noteLeaving } from '../cutover/cutover-plan.js';
import { restartOthers } from '../cutover/other-programs.js';
import { reserveForTurn } from '../cutover/reserve-disk-space.js';
import { saveOrWarn, withPm2Lock } from '../cutover/restart.js';
import { bringInPlace } from '../cutover/switch.js';
import { verifyRestart } from '../cutover/verify.js';
import { rollbackVersions } from '../cutover/version-marks.js';
import { probeDowntime } from '../host/downtime.js';
import { isSymlink, present } from '../host/files.js';
import { type GitRepository, git, isWorkTree } from '../host/git.js';
import { asLeftIn } from '../host-files/as-left.js';
import {
  changedByPeople,
  changesAreThere,
  keepLocalChanges,
  keptWords,
} from '../host-files/local-changes.js';
import { holdsAny, isWithinAny } from '../host-files/paths.js';
import { lookAtTracking, type Tracking } from '../host-files/tracking.js';
import { untrackedInLive } from '../host-files/untracked-files.js';
import { waitForGit } from '../host-files/wait-for-git.js';
import type { HostState } from '../host-state/host-state.js';
import type { RollbackRequest, RunResult } from '../protocol.js';
import { historyAsFound, type ReleaseRef, writeJournal } from '../state/journal.js';
import { currentLink } from '../state/layout.js';
import {
  dropKeptEntry,
  dropPlan,
  type LocalChanges,
  type Plan,
  refuseOneAndTheSame,
  writePlan,
} from '../state/plan.js';
import { availability, entryFile, entryFileFor, readNote, releaseFolder } from '../state/releases.js';
import type { RunFolder } from '../state/run-folder.js';
import type { StateFolder } from '../state/state-folder.js';
import { beginRun } from './begin.js';
import { chooseRollback } from './decide.js';
import { emptyResult, type Reporter } from './reporter.js';

export interface RollbackContext {
  request: RollbackRequest;
  env: NodeJS.ProcessEnv;
  folder: RunFolder;
  reporter: Reporter;
  signal: AbortSignal;
  commit(): void;
}

/** Puts an earlier verified release back without a build, and verifies it like a deploy. The lock is held. */
export async function rollBack(context: RollbackContext): Promise<RunResult> {
  const { request, reporter } = context;
  const started = performance.now();
  const result = emptyResult('failed', reporter.warnings);
  const found = await beginRun(context);
  const { refusals } = found.facts;
  if (refusals.length > 0) throw new Failure(refusals);
  if (found.facts.liveSha !== undefined) result.previousSha = found.facts.liveSha;
  const history = historyAsFound(found.history, found.facts.liveSha);
  if (history !== found.history)
    reporter.warn({
      message: `What is live (${found.facts.liveSha}) was not deployed by this action: somebody put it there by hand.`,
    });
  const decision = chooseRollback({
    ...definedOnly({ undoRun: request.undoRun, to: request.to }),
    appName: request.app.appName,
    history,
    isAvailable: availability(found),
  });
  if (decision.kind === 'nothing') {
    reporter.progress(`nothing to undo: ${decision.why}`);
    const { live } = history;
    if (history.broken && live) return { ...result, outcome: 'broken', problems: [stillBroken(found, live)] };
    return {
      ...result,
      outcome: 'unchanged',
      ...(live ? { deployedSha: live.sha, release: live.release } : {}),
    };
  }
  const { to } = decision;
  await warnOfUntracked(found, reporter);
  const done = await withPm2Lock(
    { ...context, ...context.request, supervisor: found.supervisor },
    async () => {
      await waitForGit(found, context.signal);
      context.commit();
      return goBack(found, to, context);
    },
  );
  return { ...result, ...done, rollbackMs: Math.round(performance.now() - started) };
}

/** An earlier put-back left a version that did not prove itself, and there is nothing that this rollback could undo. */
function stillBroken({ supervisor }: HostState, live: ReleaseRef): Problem {
  return {
    message: `${live.sha} is in place on the server, but it did not prove itself when it was put back.`,
    next: `Run "${supervisor.restartWords}" on the server. ${supervisor.logWords}`,
  };
}

/** Among releases what the application wrote into the leaving one is not in the one that comes back. */
async function warnOfUntracked(found: HostState, reporter: Reporter): Promise<void> {
  if (found.strategy === 'in-place' || found.live === undefined) return;
  const asked = { sharedPaths: [], buildOutput: [], envFilePath: '.env.local' };
  const foreign = (await untrackedInLive(found, asked)).filter((path) => !isSymlink(join(found.live!, path)));
  if (foreign.length === 0) return;
  reporter.warn({
    message: `Only the version that leaves has ${shortenList(foreign)}: kept in ${found.live}.`,
    next: 'Name in shared-paths what every version needs.',
  });
}

async function goBack(
  found: HostState,
  to: ReleaseRef,
  context: RollbackContext,
): Promise<Partial<RunResult>> {
  const { request, reporter, folder } = context;
  const { state, supervisor, tools, app } = found;
  const kept = await keptEntry(found, to);
  const plan = planRollback(found, to, request.run, await lookBack(found, to, context), kept?.file);
  refuseOneAndTheSame(plan);
  await reserveForTurn(tools, plan, folder);
  if (plan.from && plan.from.release !== to.release && found.live !== undefined)
    await noteLeaving(found, plan, []);
  if (plan.checkout)
    await git(found.checkout!, 'update-ref', `refs/deploys/${plan.checkout.fromSha}`, plan.checkout.fromSha);
  const port = found.facts.portless ? undefined : (request.app.healthPort ?? kept?.port ?? found.facts.port);
  const versions = rollbackVersions(found, plan);
  const before = await supervisor.running(port, found.entry);
  keepOpenPages(found, plan.from, to, reporter);
  if (plan.entry) await supervisor.keepEntry(plan.entry.from);
  writePlan(state, plan);
  reporter.event({ kind: 'state', state: 'putting-back' });
  const probe = port === undefined ? undefined : probeDowntime(port, request.health.budget, reporter);
  let health: HealthFact[];
  try {
    await reporter.step(
      'put back',
      async () => {
        await bringInPlace(tools, plan);
        await supervisor.restart({ state, ...definedOnly({ kept: plan.entry?.to }) });
      },
      () => to.sha.slice(0, 12),
    );
    health = await reporter.step('verification', () =>
      verifyRestart({
        supervisor,
        port,
        sha: to.sha,
        health: request.health,
        expectVersion: false,
        tell: reporter.progress,
        before,
        versions,
        warn: reporter.warn,
      }),
    );
    await restartOthers({ found, sha: to.sha, health: request.health, reporter });
  } catch (error) {
    const detail = reporter.clean(problemsOf(error)[0]!.message);
    warnUnwritten(
      reporter,
      catchProblem(() => writeJournal(state, request.run, { event: 'broken', ...to, detail })),
    );
    return {
      outcome: 'broken',
      problems: [...problemsOf(error), handWork(plan, supervisor)],
      ...definedOnly({ downtimeMs: await probe?.stop() }),
    };
  }
  // It is back and verified, whatever can be written about it.
  warnUnwritten(
    reporter,
    catchProblem(() => {
      writeJournal(state, request.run, {
        event: 'rolled-back',
        ...to,
        app: app.appName,
        ...definedOnly({ from: plan.from }),
      });
      dropPlan(state);
      dropKeptEntry(plan, 'to');
    }),
  );
  await saveOrWarn(found, reporter);
  return {
    outcome: 'rolled-back',
    deployedSha: to.sha,
    release: to.release,
    health,
    ...definedOnly({ downtimeMs: await probe?.stop() }),
  };
}

/** How the version that comes back was run, where that was another way than now. */
async function keptEntry(
  { state, history, supervisor }: HostState,
  to: ReleaseRef,
): Promise<{ file: string; port?: number } | undefined> {
  const file = entryFileFor(state, history, to.release);
  const kept = file === undefined ? undefined : await supervisor.readKept(file);
  if (file === undefined || kept === undefined || kept.isAsNow) return undefined;
  return { file, ...definedOnly({ port: kept.port }) };
}

/** What changes place in a checkout that goes back, and what of it git would take away. */
interface CheckoutToRestore {
  /** What was kept of the target, and what only the leaving version brought: its env file, say. */
  paths: string[];
  onlyHere: string[];
  tracking: Tracking;
  changes?: LocalChanges;
}

type KnownVersion = Pick<HostState, 'live' | 'releases' | 'history' | 'facts' | 'state'>;

/**
 * What changes place. What the leaving version's build made and the application wrote to since is data by now: it stays
 * for whichever version is live.
 */
function movesBack(found: KnownVersion, to: ReleaseRef): Pick<CheckoutToRestore, 'paths' | 'onlyHere'> {
  const { live, releases, state } = found;
  const from = liveRef(found)!;
  // What is in place already is only restarted.
  if (from.release === to.release) return { paths: [], onlyHere: [] };
  const target = releaseFolder(releases, to.release);
  const { written } = asLeftIn(live!, readNote(state, from.release), undefined);
  const ofTarget = pathsOf(state, to.release).filter((path) => present(join(target, path)));
  const paths = ofTarget.filter((path) => !written(path));
  const onlyHere = pathsOf(state, from.release).filter(
    (path) =>
      !isWithinAny(path, ofTarget) &&
      !holdsAny(path, ofTarget) &&
      present(join(live!, path)) &&
      !written(path),
  );
  return { paths, onlyHere };
}

/**
 * Looks what git would take away on the way back, and keeps what people changed. @throws a Failure where that cannot be
 * kept; nothing was changed.
 */
async function lookBack(
  found: HostState,
  to: ReleaseRef,
  { folder, reporter }: RollbackContext,
): Promise<CheckoutToRestore | undefined> {
  const { checkout, facts, releases, state, tools } = found;
  if (found.strategy !== 'in-place' || checkout === undefined) return undefined;
  const kept = readNote(state, to.release)?.changes;
  if (kept !== undefined && !changesAreThere(kept))
    reporter.warn({
      message: `${to.sha} was live with local changes, which were kept in ${kept.patch}; that file is gone, so it comes back without them.`,
    });
  const moves = movesBack(found, to);
  const rules: GitRepository = { tools, folder: releaseFolder(releases, to.release) };
  const tracking = await lookAtTracking(checkout, {
    from: facts.liveSha!,
    to: to.sha,
    shared: [],
    swapped: [...moves.paths, ...moves.onlyHere],
    takenBefore: readNote(state, liveRef(found)!.release)?.takenOver ?? [],
    ...((await isWorkTree(rules)) ? { rules } : {}),
  });
  const dirty = (await changedByPeople(found)).filter((path) => !tracking.hostFrom.includes(path));
  const changes = await keepLocalChanges(checkout, dirty, folder);
  if (changes) reporter.warn(keptWords(changes));
  return { ...moves, tracking, ...definedOnly({ changes }) };
}

/** Everything the rollback will change: the kept files of the target take the places of the live ones. */
function planRollback(
  found: KnownVersion & Pick<HostState, 'strategy' | 'app'>,
  to: ReleaseRef,
  run: { id: string; attempt: number; url?: string },
  look: CheckoutToRestore | undefined,
  entry: string | undefined,
): Plan {
  const { live, releases, facts, app, state } = found;
  const from = liveRef(found) ?? found.history.live;
  const base = {
    task: 'rollback' as const,
    run: { id: run.id, attempt: run.attempt, ...definedOnly({ url: run.url }) },
    ...definedOnly({ from }),
    to,
    ...(entry === undefined || from === undefined
      ? {}
      : { entry: { from: entryFile(state, from.release), to: entry } }),
  };
  const target = releaseFolder(releases, to.release);
  if (look === undefined)
    return {
      ...base,
      swaps: [],
      link: { path: currentLink(app.appPath), ...definedOnly({ from: live }), to: target },
    };
  const away = releaseFolder(releases, from!.release);
  const { paths, tracking } = look;
  const leaving = [...new Set([...look.onlyHere, ...tracking.inTheWay])];
  const moved = [...paths, ...leaving];
  const note = readNote(state, to.release);
  return {
    ...base,
    swaps: [
      ...paths.map((path) => ({
        live: join(live!, path),
        incoming: join(target, path),
        kept: join(away, path),
        had: present(join(live!, path)),
      })),
      // What leaves without anything in its stead takes the place where it is kept.
      ...leaving.map((path) => ({
        live: join(away, path),
        incoming: join(live!, path),
        kept: `${join(away, path)}.replaced`,
        had: present(join(away, path)),
      })),
    ],
    checkout: {
      folder: live!,
      fromSha: facts.liveSha!,
      toSha: to.sha,
      from: extrasOf(away, [], moved, tracking.hostFrom, look.changes),
      to: extrasOf(target, note?.rebuilt ?? [], moved, tracking.hostTo, note?.changes),
      untrack: tracking.untrack,
      takenOver: tracking.takenOver,
      aside: asideFor(state, base.run, to),
    },
  };
}

/** What belongs to a release beside its tracked files. */
function pathsOf(state: StateFolder, release: string): string[] {
  const note = readNote(state, release);
  return [...new Set([...(note?.paths ?? []), ...(note?.envFiles ?? [])])];
}
