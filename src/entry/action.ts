import { tmpdir } from 'node:os';
import { actionInputs, maskSecrets } from '../github/action-inputs.js';
import { commentPlan, wantsComment } from '../github/comment.js';
import {
  closeDeployment,
  deploymentOutcome,
  liveAgain,
  openDeployment,
  type PhaseTeller,
  phaseTeller,
} from '../github/deployment.js';
import { githubSink } from '../github/log-sink.js';
import { saveState } from '../github/workflow-commands.js';
import { inputContext } from '../inputs/context.js';
import { type ReadInput, withEnvironment } from '../inputs/input-sources.js';
import { parseSettings } from '../inputs/read.js';
import { runIdentity } from '../inputs/run-identity.js';
import { secretInputs, unmaskableInputs } from '../inputs/secret-inputs.js';
import type { Run, Settings } from '../inputs/settings.js';
import { capitalize } from '../lib/capitalize.js';
import { definedOnly } from '../lib/defined-only.js';
import type { Log } from '../lib/log.js';
import { redactor } from '../lib/redact.js';
import { type Problem, problemsOf, type Report } from '../lib/report.js';
import { verifyAlways } from '../lib/verified-tls.js';
import { resolveInterruptedRun, runPipeline } from '../pipeline/deploy.js';
import { whatStays } from '../report/log-format.js';
import { type LogPrinter, logPrinter } from '../report/log-printer.js';
import { type Publication, publish } from './publish.js';
import {
  type Crashes,
  conclude,
  firstLine,
  ignoreClosedOutput,
  type LogRecorder,
  logRecorder,
  refusedReport,
  type StartedRun,
  type Stoppable,
  snapshot,
  startedRun,
  stoppable,
  watchCrashes,
} from './run-lifecycle.js';

/** After a cancel the runner sends SIGTERM at 7.5 s; by then the truth has to be written. Milliseconds. */
const GRACE = 4_500;
const API_AFTER_STOP = 1_500;
/** Names of the values that the post step reads. */
const STATE = {
  begun: 'begun',
  session: 'session',
  watch: 'watch',
  cancelled: 'cancelled',
  final: 'final',
  deployment: 'deployment',
} as const;

/** One start of the action: what was given, who runs, and where it speaks. */
interface Session {
  readonly read: ReadInput;
  readonly run: ReturnType<typeof runIdentity>;
  readonly printer: LogPrinter;
  readonly crashes: Crashes;
  /** Hears everything that is told through its log. */
  readonly recorder: LogRecorder;
  readonly publication: Publication;
  readonly started: StartedRun;
}

/** The main step: inputs, work, outputs. Sets the exit code and never throws. */
export async function action(entryPoint: { dist: string }): Promise<void> {
  const session = openSession(process.env);
  const { printer } = session;
  try {
    printer.log({ kind: 'line', text: firstLine(session.started, session.run) });
    const parsed = parse(session);
    if (parsed.settings === undefined) await publish(refuse(session, parsed.problems), session.publication);
    else await work(session, parsed.settings, entryPoint.dist);
  } catch (error) {
    await publish(refuse(session, problemsOf(error)), session.publication);
  } finally {
    printer.end();
    leave();
  }
}

/**
 * The post step: acts only where the main step began to work and ended without a final report (cancelled, killed).
 * A script of its own, so that it can never do the main work by mistake.
 */
export async function post(entryPoint: { dist: string }): Promise<void> {
  if (stateOf(STATE.begun) === '' || stateOf(STATE.final) !== '') return;
  const session = openSession(process.env);
  const { printer, publication } = session;
  try {
    const cancelled = stateOf(STATE.cancelled) !== '';
    const why = cancelled ? 'the main step was cancelled' : 'the main step ended without a report';
    printer.log({ kind: 'line', text: `${capitalize(why)}: looking at what it left behind.` });
    const parsed = parse(session);
    if (parsed.settings === undefined) return void refuse(session, parsed.problems);
    const { settings } = parsed;
    const { recorder } = session;
    const ended = await guarded(session, (signal) =>
      resolveInterruptedRun(
        settings,
        { log: recorder.log, signal, dist: entryPoint.dist },
        { session: stateOf(STATE.session), watching: stateOf(STATE.watch) === 'begun' },
      ),
    );
    const nothing = ended.value === undefined && ended.stopped === undefined;
    const found = nothing ? undefined : conclude(ended as Stoppable<Report>, recorder, session.started);
    // Where nothing has failed it is the only reason for what was done here.
    const reason = cancelled && found?.outcome === 'cancelled' ? [] : [{ message: why }];
    const report = found && { ...found, problems: [...reason, ...found.problems] };
    const id = stateOf(STATE.deployment);
    const between = async (final: Report): Promise<readonly Problem[]> =>
      id === ''
        ? []
        : collect(session, (log) =>
            closeDeployment({ ...api(session, settings), log }, settings, id, deploymentOutcome(final)),
          );
    if (report) await publish(report, { ...publication, between });
    else {
      printer.log({ kind: 'line', text: 'Nothing of this run is left half done.' });
      if (id !== '')
        await closeDeployment({ ...api(session, settings), log: printer.log }, settings, id, 'cancelled');
    }
  } catch (error) {
    await publish(refuse(session, problemsOf(error)), publication);
  } finally {
    printer.end();
    leave();
  }
}

/** Runs the pipeline and publishes what came of it, also when it was stopped or did not come back. */
async function work(session: Session, settings: Settings, dist: string): Promise<void> {
  const { printer, recorder, publication } = session;
  saveState(process.env, STATE.session, session.run.session);
  saveState(process.env, STATE.begun, settings.mode);
  const options = { ...api(session, settings), log: recorder.log };
  let deployment: string | undefined;
  let phases: PhaseTeller | undefined;
  const log: Log = (entry) => {
    recorder.log(entry);
    if (entry.kind === 'phase-started') phases?.tell(entry.phase);
    // Between the two a kill leaves a version that has been proven and stays.
    if (entry.kind === 'phase-started' && entry.phase === 'watch')
      saveState(process.env, STATE.watch, 'begun');
    if (entry.kind === 'phase-ended' && entry.report.phase === 'watch')
      saveState(process.env, STATE.watch, 'over');
  };
  const ended = await guarded(session, async (signal) => {
    if (settings.githubDeployment && (settings.mode === 'deploy' || settings.mode === 'redeploy')) {
      deployment = await openDeployment(options, settings);
      if (deployment !== undefined) {
        saveState(process.env, STATE.deployment, deployment);
        phases = phaseTeller(options, settings, deployment);
      }
    }
    return runPipeline(settings, { log, signal, dist });
  });
  await phases?.end();
  const again = settings.githubDeployment && ended.value && liveAgain(ended.value);
  if (again && !ended.stopped) deployment = await openDeployment(options, settings, again);
  const concluded = conclude(ended, recorder, session.started);
  const facts = deployment === undefined ? {} : { deploymentId: deployment };
  const report = { ...concluded, facts: { ...concluded.facts, ...facts }, ...leftToPost(concluded) };
  if (ended.stopped && 'signal' in ended.stopped) saveState(process.env, STATE.cancelled, 'true');
  if (report.unsettled !== true) saveState(process.env, STATE.final, report.outcome);
  const deadline = ended.stopped ? API_AFTER_STOP : undefined;
  const between = (said: Report): Promise<readonly Problem[]> =>
    collect(session, async (log) => {
      const to = { ...options, log, ...definedOnly({ deadline }) };
      if (deployment !== undefined && report.unsettled !== true)
        await closeDeployment(to, settings, deployment, deploymentOutcome(said));
      if (wantsComment(settings)) await commentPlan(to, settings, said, publication.places);
    });
  printer.end();
  await publish(report, { ...publication, between });
}

/** What a person has to know of a run that was stopped in the middle: that nothing has to be done by hand yet. */
function leftToPost(report: Report): Pick<Report, 'next'> {
  const left = whatStays(report);
  if (report.unsettled !== true || left === '') return {};
  const does = report.mode === 'deploy' ? 'settles it' : 'says where things stand';
  return { next: `${capitalize(left)}; the post step of this job ${does}.` };
}

function openSession(env: NodeJS.ProcessEnv): Session {
  const startedAt = Date.now();
  ignoreClosedOutput();
  const crashes = watchCrashes();
  const unverified = verifyAlways(env);
  const read = snapshot(withEnvironment(actionInputs(env), env));
  const secrets = secretInputs(read);
  maskSecrets(secrets);
  const clean = redactor(secrets);
  const printer = logPrinter(githubSink(), clean);
  const recorder = logRecorder(printer.log);
  if (unverified) recorder.log({ kind: 'warning', problem: unverified });
  const unmasked = unmaskableInputs(read);
  if (unmasked.length > 0) {
    const message = `The secret in ${unmasked.join(', ')} is too short or too common to be masked: a mask would blank ordinary words out of the log.`;
    recorder.log({ kind: 'warning', problem: { message, next: 'Use a longer secret.' } });
  }
  const identity = runIdentity(env);
  return {
    read,
    run: identity,
    printer,
    crashes,
    recorder,
    publication: {
      run: identity,
      env,
      redact: clean.redact,
      tell: (text) => printer.log({ kind: 'line', text }),
      places: { workspace: workspaceOf(env), project: read('working-directory') },
      language: read('language').trim() === 'es' ? 'es' : 'en',
      folder: env.RUNNER_TEMP || tmpdir(),
    },
    started: startedRun(read, startedAt),
  };
}

function parse(session: Session): ReturnType<typeof parseSettings> {
  return parseSettings(session.read, inputContext(session.run, workspaceOf(process.env), false));
}

function workspaceOf(env: NodeJS.ProcessEnv): string {
  return env.GITHUB_WORKSPACE || process.cwd();
}

/** Tells every problem at once; the report of a run that came to nothing. */
function refuse(session: Session, problems: Problem[]): Report {
  for (const problem of problems) session.printer.log({ kind: 'problem', problem });
  return {
    ...refusedReport(session.started, problems),
    warnings: session.recorder.warnings,
  };
}

function guarded<T>(session: Session, action: (signal: AbortSignal) => Promise<T>): Promise<Stoppable<T>> {
  const { log } = session.printer;
  return stoppable(
    {
      crashes: session.crashes,
      grace: GRACE,
      impatient: false,
      onStop: (text) => log({ kind: 'line', text }),
      onStray: (problems) => {
        for (const problem of problems) log({ kind: 'line', text: `after the end: ${problem.message}` });
      },
    },
    action,
  );
}

function api(session: Session, settings: Settings): { run: Run; token: Settings['githubToken'] } {
  return { run: session.run, token: settings.githubToken };
}

/** Runs work that may warn, and returns its warnings as well, for the annotations. */
async function collect(
  session: Session,
  work: (log: LogPrinter['log']) => Promise<void>,
): Promise<readonly Problem[]> {
  const problems: Problem[] = [];
  await work((entry) => {
    if (entry.kind === 'warning') problems.push(entry.problem);
    session.printer.log(entry);
  });
  return problems;
}

/** What the main step saved for the post step. */
function stateOf(name: string): string {
  return process.env[`STATE_${name}`] ?? '';
}

/** Ends the process where something (an idle socket of a library) would keep it alive for no reason. */
function leave(): void {
  setTimeout(() => process.exit(), 2_000).unref();
}
