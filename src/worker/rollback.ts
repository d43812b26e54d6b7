import { join } from 'node:path';
import { given } from '../base/given.js';
import { Failure, type HealthFact, problemsOf } from '../base/report.js';
import { someOf } from '../base/some-of.js';
import { tried } from '../base/tried.js';
import { beginRun } from './begin.js';
import { keepOpenPages } from './build/output.js';
import { handWork, warnUnwritten } from './cutover/cutover.js';
import { asideFor, besideOf, liveRef, noteLeaving } from './cutover/cutover-plan.js';
import { inTurn, saveOrWarn } from './cutover/restart.js';
import { bringInPlace } from './cutover/switch.js';
import { holdTurnRoom } from './cutover/turn-room.js';
import { verifyRestart } from './cutover/verify.js';
import { rollbackVersions } from './cutover/version-marks.js';
import { chooseRollback } from './decide.js';
import { probeDowntime } from './host/downtime.js';
import { isSymlink, present } from './host/files.js';
import { git, isWorkTree, type Repository } from './host/git.js';
import { asLeftIn } from './own-files/as-left.js';
import { foreignInLive } from './own-files/foreign.js';
import { changedByPeople, changesAreThere, keepLocalChanges, keptWords } from './own-files/local-changes.js';
import { holdsAny, isWithinAny } from './own-files/paths.js';
import { waitForPeople } from './own-files/people.js';
import { lookAtTracking, type Tracking } from './own-files/tracking.js';
import type { RollbackRequest, RunResult } from './protocol.js';
import { historyAsFound, type ReleaseRef, writeJournal } from './record/journal.js';
import { currentLink } from './record/layout.js';
import { dropPlan, type LocalChanges, type Plan, refuseOneAndTheSame, writePlan } from './record/plan.js';
import { availability, readNote, releaseFolder } from './record/releases.js';
import type { RunFolder } from './record/run-folder.js';
import type { StateFolder } from './record/state.js';
import type { Survey } from './survey/survey.js';
import { emptyResult, type Teller } from './teller.js';

export interface RollbackContext {
  request: RollbackRequest;
  env: NodeJS.ProcessEnv;
  folder: RunFolder;
  teller: Teller;
  signal: AbortSignal;
  commit(): void;
}

/** Puts an earlier verified release back without a build, and verifies it like a deploy. The lock is held. */
export async function rollBack(context: RollbackContext): Promise<RunResult> {
  const { request, teller } = context;
  const started = performance.now();
  const result = emptyResult('failed', teller.warnings);
  const found = await beginRun(context);
  const { refusals } = found.facts;
  if (refusals.length > 0) throw new Failure(refusals);
  if (found.facts.liveSha !== undefined) result.previousSha = found.facts.liveSha;
  const history = historyAsFound(found.history, found.facts.liveSha);
  if (history !== found.history)
    teller.warn({
      message: `What is live (${found.facts.liveSha}) was not deployed by this action: somebody put it there by hand.`,
    });
  const decision = chooseRollback({
    ...given({ undoRun: request.undoRun, to: request.to }),
    appName: request.app.appName,
    history,
    isAvailable: availability(found),
  });
  if (decision.kind === 'nothing') {
    teller.progress(`nothing to undo: ${decision.why}`);
    const { live } = history;
    return {
      ...result,
      outcome: 'unchanged',
      ...(live ? { deployedSha: live.sha, release: live.release } : {}),
    };
  }
  const { to } = decision;
  await warnOfForeign(found, teller);
  const done = await inTurn({ ...context, ...context.request, supervisor: found.supervisor }, async () => {
    await waitForPeople(found, context.signal);
    context.commit();
    return goBack(found, to, context);
  });
  return { ...result, ...done, rollbackMs: Math.round(performance.now() - started) };
}

/** Among releases what the application wrote into the leaving one is not in the one that comes back. */
async function warnOfForeign(found: Survey, teller: Teller): Promise<void> {
  if (found.strategy === 'in-place' || found.live === undefined) return;
  const asked = { sharedPaths: [], buildOutput: [], envFilePath: '.env.local' };
  const foreign = (await foreignInLive(found, asked)).filter((path) => !isSymlink(join(found.live!, path)));
  if (foreign.length === 0) return;
  teller.warn({
    message: `Only the version that leaves has ${someOf(foreign)}: kept in ${found.live}.`,
    next: 'Name in shared-paths what every version needs.',
  });
}

async function goBack(found: Survey, to: ReleaseRef, context: RollbackContext): Promise<Partial<RunResult>> {
  const { request, teller, folder } = context;
  const { state, supervisor, tools, app } = found;
  const plan = planRollback(found, to, request.run, await lookBack(found, to, context));
  refuseOneAndTheSame(plan);
  await holdTurnRoom(tools, plan, folder);
  if (plan.from && plan.from.release !== to.release && found.live !== undefined)
    await noteLeaving(found, plan, []);
  if (plan.checkout)
    await git(found.checkout!, 'update-ref', `refs/deploys/${plan.checkout.fromSha}`, plan.checkout.fromSha);
  const port = found.facts.port!;
  const versions = rollbackVersions(found, plan);
  const before = await supervisor.running(port, found.entry);
  keepOpenPages(found, plan.from, to, teller);
  writePlan(state, plan);
  teller.event({ kind: 'state', state: 'putting-back' });
  const probe = probeDowntime(port, request.health.budget, teller);
  let health: HealthFact[];
  try {
    await teller.step(
      'put back',
      async () => {
        await bringInPlace(tools, plan);
        await supervisor.restart({ state, entry: found.entry });
      },
      () => to.sha.slice(0, 12),
    );
    health = await teller.step('verification', () =>
      verifyRestart({
        supervisor,
        port,
        sha: to.sha,
        health: request.health,
        expectVersion: false,
        tell: teller.progress,
        before,
        versions,
        warn: teller.warn,
      }),
    );
  } catch (error) {
    const detail = teller.clean(problemsOf(error)[0]!.message);
    warnUnwritten(
      teller,
      tried(() => writeJournal(state, request.run, { event: 'broken', ...to, detail })),
    );
    return {
      outcome: 'broken',
      problems: [...problemsOf(error), handWork(plan, supervisor.restartWords)],
      downtimeMs: await probe.stop(),
    };
  }
  // It is back and verified, whatever can be written about it.
  warnUnwritten(
    teller,
    tried(() => {
      writeJournal(state, request.run, {
        event: 'rolled-back',
        ...to,
        app: app.appName,
        ...given({ from: plan.from }),
      });
      dropPlan(state);
    }),
  );
  await saveOrWarn(found, teller);
  return {
    outcome: 'rolled-back',
    deployedSha: to.sha,
    release: to.release,
    health,
    downtimeMs: await probe.stop(),
  };
}

/** What changes place in a checkout that goes back, and what of it git would take away. */
interface RollbackLook {
  /** What was kept of the target, and what only the leaving version brought: its env file, say. */
  paths: string[];
  onlyHere: string[];
  tracking: Tracking;
  changes?: LocalChanges;
}

type Known = Pick<Survey, 'live' | 'releases' | 'history' | 'facts' | 'state'>;

/**
 * What changes place. What the leaving version's build made and the application wrote to since is data by now: it stays
 * for whichever version is live.
 */
function movesBack(found: Known, to: ReleaseRef): Pick<RollbackLook, 'paths' | 'onlyHere'> {
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
  found: Survey,
  to: ReleaseRef,
  { folder, teller }: RollbackContext,
): Promise<RollbackLook | undefined> {
  const { checkout, facts, releases, state, tools } = found;
  if (found.strategy !== 'in-place' || checkout === undefined) return undefined;
  const kept = readNote(state, to.release)?.changes;
  if (kept !== undefined && !changesAreThere(kept))
    teller.warn({
      message: `${to.sha} was live with local changes, which were kept in ${kept.patch}; that file is gone, so it comes back without them.`,
    });
  const moves = movesBack(found, to);
  const rules: Repository = { tools, folder: releaseFolder(releases, to.release) };
  const tracking = await lookAtTracking(checkout, {
    from: facts.liveSha!,
    to: to.sha,
    shared: [],
    swapped: [...moves.paths, ...moves.onlyHere],
    ...((await isWorkTree(rules)) ? { rules } : {}),
  });
  const dirty = (await changedByPeople(found)).filter((path) => !tracking.hostFrom.includes(path));
  const changes = await keepLocalChanges(checkout, dirty, folder);
  if (changes) teller.warn(keptWords(changes));
  return { ...moves, tracking, ...given({ changes }) };
}

/** Everything the rollback will change: the kept files of the target take the places of the live ones. */
function planRollback(
  found: Known & Pick<Survey, 'strategy' | 'app'>,
  to: ReleaseRef,
  run: { id: string; attempt: number; url?: string },
  look: RollbackLook | undefined,
): Plan {
  const { live, releases, facts, app, state } = found;
  const from = liveRef(found) ?? found.history.live;
  const base = {
    task: 'rollback' as const,
    run: { id: run.id, attempt: run.attempt, ...given({ url: run.url }) },
    ...given({ from }),
    to,
  };
  const target = releaseFolder(releases, to.release);
  if (look === undefined)
    return {
      ...base,
      swaps: [],
      link: { path: currentLink(app.appPath), ...given({ from: live }), to: target },
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
      from: besideOf(away, [], moved, tracking.hostFrom, look.changes),
      to: besideOf(target, note?.rebuilt ?? [], moved, tracking.hostTo, note?.changes),
      untrack: tracking.untrack,
      aside: asideFor(state, base.run, to),
    },
  };
}

/** What belongs to a release beside its tracked files. */
function pathsOf(state: StateFolder, release: string): string[] {
  const note = readNote(state, release);
  return [...new Set([...(note?.paths ?? []), ...(note?.envFiles ?? [])])];
}
