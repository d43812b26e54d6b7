import { join } from 'node:path';
import { Failure, problemsOf } from '../base/report.js';
import { begin } from './begin.js';
import { handWork } from './cutover.js';
import { decideRollback } from './decide.js';
import { present } from './files.js';
import { git } from './git.js';
import { probeDowntime } from './health.js';
import { type ReleaseRef, writeJournal } from './journal.js';
import { currentLink } from './layout.js';
import { keepLocalChanges } from './local-changes.js';
import { keepOpenPages } from './output.js';
import { dropPlan, type Plan, writePlan } from './plan.js';
import { save } from './pm2.js';
import type { RollbackRequest, RunResult } from './protocol.js';
import { availability, readNote, releaseFolder } from './releases.js';
import { inTurn, restart, restartWords } from './restart.js';
import type { RunFolder } from './run-folder.js';
import type { StateFolder } from './state.js';
import type { Survey } from './survey.js';
import { applyPlan } from './switch.js';
import { emptyResult, type Teller } from './teller.js';
import { verify } from './verify.js';

export interface RollbackContext {
  request: RollbackRequest;
  env: NodeJS.ProcessEnv;
  folder: RunFolder;
  teller: Teller;
  signal: AbortSignal;
  commit(): void;
}

/** Puts an earlier verified release back without a build, and verifies it like a deploy. The lock is held. */
export async function rollback(context: RollbackContext): Promise<RunResult> {
  const { request, teller } = context;
  const started = performance.now();
  const result = emptyResult('failed', teller.warnings);
  const found = await begin(context);
  const { refusals } = found.facts;
  if (refusals.length > 0) throw new Failure(refusals);
  if (found.facts.liveSha !== undefined) result.previousSha = found.facts.liveSha;
  const decision = decideRollback({
    ...(request.undoRun === undefined ? {} : { undoRun: request.undoRun }),
    ...(request.to === undefined ? {} : { to: request.to }),
    appName: request.app.appName,
    history: found.history,
    isAvailable: availability(found),
  });
  if (decision.kind === 'nothing') {
    teller.progress(`nothing to undo: ${decision.why}`);
    const live = found.history.live;
    return {
      ...result,
      outcome: 'unchanged',
      ...(live ? { deployedSha: live.sha, release: live.release } : {}),
    };
  }
  await keepLocalChanges(found, context.folder, teller);
  const { to } = decision;
  const done = await inTurn({ ...context, ...context.request, tools: found.tools }, async () => {
    context.commit();
    return goBack(found, to, context);
  });
  return { ...result, ...done, rollbackMs: Math.round(performance.now() - started) };
}

async function goBack(found: Survey, to: ReleaseRef, context: RollbackContext): Promise<Partial<RunResult>> {
  const { request, teller } = context;
  const { state, tools, app } = found;
  const plan = planRollback(found, to, request.run);
  if (plan.checkout)
    await git(found.checkout!, 'update-ref', `refs/deploys/${plan.checkout.fromSha}`, plan.checkout.fromSha);
  const port = found.facts.port!;
  const named = app.restartCommand === undefined;
  const before = found.entry?.instances ?? [];
  keepOpenPages(found, plan.from, to, teller);
  teller.event({ kind: 'state', state: 'putting-back' });
  writePlan(state, plan);
  const probe = probeDowntime(port);
  try {
    await teller.step(
      'put back',
      async () => {
        await applyPlan(tools, plan);
        await restart({ tools, app, state, entry: found.entry });
      },
      () => to.sha.slice(0, 12),
    );
    const health = await teller.step('verification', () =>
      verify({
        tools,
        ...(named ? { appName: app.appName } : {}),
        port,
        sha: to.sha,
        health: request.health,
        expectVersion: false,
        tell: teller.progress,
        before,
      }),
    );
    writeJournal(state, request.run, {
      event: 'rolled-back',
      ...to,
      app: app.appName,
      ...(plan.from ? { from: plan.from } : {}),
    });
    dropPlan(state);
    if (named) await saveOrWarn(found, teller);
    return {
      outcome: 'rolled-back',
      deployedSha: to.sha,
      release: to.release,
      health,
      downtimeMs: await probe.stop(),
    };
  } catch (error) {
    const detail = teller.clean(problemsOf(error)[0]!.message);
    writeJournal(state, request.run, { event: 'broken', ...to, detail });
    return {
      outcome: 'broken',
      problems: [...problemsOf(error), handWork(plan, restartWords(app))],
      downtimeMs: await probe.stop(),
    };
  } finally {
    await probe.stop();
  }
}

async function saveOrWarn(found: Survey, teller: Teller): Promise<void> {
  try {
    await save(found.tools, found.app.appName);
  } catch (error) {
    teller.warn({ message: problemsOf(error)[0]!.message, next: 'Run "pm2 save" on the server.' });
  }
}

/** Everything the rollback will change: the kept files of the target take the places of the live ones. */
export function planRollback(
  found: Pick<Survey, 'strategy' | 'live' | 'releases' | 'history' | 'facts' | 'app' | 'state'>,
  to: ReleaseRef,
  run: { id: string; attempt: number; url?: string },
): Plan {
  const { strategy, live, releases, facts, app, state } = found;
  const from = found.history.live;
  const base = {
    task: 'rollback' as const,
    run: { id: run.id, attempt: run.attempt, ...(run.url === undefined ? {} : { url: run.url }) },
    ...(from === undefined ? {} : { from }),
    to,
  };
  const target = releaseFolder(releases, to.release);
  if (strategy !== 'in-place')
    return {
      ...base,
      swaps: [],
      link: { path: currentLink(app.appPath), ...(live === undefined ? {} : { from: live }), to: target },
    };
  const away = releaseFolder(releases, from?.release ?? 'unknown');
  const paths = pathsOf(state, to.release).filter((path) => present(join(target, path)));
  // What is in place already is only restarted: another application of the checkout has gone back before.
  const onlyHere = from === undefined || from.release === to.release ? [] : pathsOf(state, from.release);
  return {
    ...base,
    swaps: [
      ...paths.map((path) => ({
        live: join(live!, path),
        incoming: join(target, path),
        kept: join(away, path),
        had: present(join(live!, path)),
      })),
      // What only the leaving version brought (its env file, say) goes with it: it takes the place where it is kept.
      ...onlyHere
        .filter((path) => !paths.includes(path) && present(join(live!, path)))
        .map((path) => ({
          live: join(away, path),
          incoming: join(live!, path),
          kept: `${join(away, path)}.replaced`,
          had: present(join(away, path)),
        })),
    ],
    checkout: { folder: live!, fromSha: facts.liveSha!, toSha: to.sha },
  };
}

/** What belongs to a release beside its tracked files. */
function pathsOf(state: StateFolder, release: string): string[] {
  const note = readNote(state, release);
  return [...new Set([...(note?.paths ?? []), ...(note?.envFiles ?? [])])];
}
