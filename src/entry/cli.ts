import { tmpdir } from 'node:os';
import { inputContext } from '../inputs/context.js';
import { INPUT_NAMES, withEnvironment } from '../inputs/input-sources.js';
import { parseSettings } from '../inputs/read.js';
import { runIdentity } from '../inputs/run-identity.js';
import { secretInputs } from '../inputs/secret-inputs.js';
import type { Run, Settings } from '../inputs/settings.js';
import { capitalize } from '../lib/capitalize.js';
import { redactor } from '../lib/redact.js';
import { redactDeep } from '../lib/redact-deep.js';
import { type Problem, problemsOf, type Report } from '../lib/report.js';
import { isUnmaskable } from '../lib/secret.js';
import { verifyAlways } from '../lib/verified-tls.js';
import { VERSION } from '../lib/version.js';
import { runPipeline } from '../pipeline/deploy.js';
import { closingLines, whatStays } from '../report/log-format.js';
import { type LogPrinter, logPrinter } from '../report/log-printer.js';
import { exitCodeOf } from '../report/outputs.js';
import {
  type Crashes,
  conclude,
  firstLine,
  ignoreClosedOutput,
  logRecorder,
  refusedReport,
  type StartedRun,
  snapshot,
  startedRun,
  stoppable,
  watchCrashes,
  writeReport,
} from './run-lifecycle.js';
import { MODE_HINT, parseFlags, visibleSecrets } from './terminal/flags.js';
import { helpText, usageText } from './terminal/help.js';
import { phaseLines, terminalSink } from './terminal/log-sink.js';

/** From a terminal nobody kills us after ten seconds; a second Ctrl-C does. Milliseconds. */
const GRACE = 60_000;

/** The terminal entry point: flags and environment in, lines and an exit code out. Never throws. */
export async function cli(entryPoint: { dist: string }): Promise<void> {
  const startedAt = Date.now();
  const { argv, env, stdout, stderr } = process;
  ignoreClosedOutput();
  // After `--` Node leaves all words to us, also those that it would take for its own, such as --env-file.
  const words = argv.slice(argv[2] === '--' ? 3 : 2);
  if (words[0] === 'init') return await toInit(words.slice(1));
  const flags = parseFlags(words, INPUT_NAMES);
  if (flags.asked === 'version') return void stdout.write(`muva-deploy ${VERSION}\n`);
  if (flags.asked === 'help')
    return words.includes('init') ? await toInit(['--help']) : void stdout.write(helpText());
  if (!flags.values.has('mode')) {
    process.exitCode = 1;
    return void stderr.write(usageText(missingMode(words, flags.problems)));
  }

  const unverified = verifyAlways(env);
  const crashes = watchCrashes();
  const read = snapshot(withEnvironment((name) => flags.values.get(name) ?? '', env));
  const clean = redactor(secretInputs(read).filter((value) => !isUnmaskable(value.trim())));
  const screen = {
    write: (text: string): void => void stdout.write(text),
    colour: stdout.isTTY === true && !env.NO_COLOR,
    debug: Boolean(env.MUVA_DEPLOY_DEBUG),
  };
  const told = logPrinter(terminalSink(screen), clean);
  const identity = runIdentity(env);
  const started = startedRun(read, startedAt);
  const finish = (report: Report): void => end(report, identity, told, clean.redact);
  try {
    told.log({ kind: 'line', text: firstLine(started, identity) });
    const parsed = parseSettings(read, inputContext(identity, process.cwd(), true));
    const problems = [...flags.problems, ...parsed.problems];
    if (unverified) told.log({ kind: 'warning', problem: unverified });
    for (const problem of visibleSecrets(flags.values)) told.log({ kind: 'warning', problem });
    if (parsed.settings && problems.length === 0)
      finish(await work(parsed.settings, told, crashes, entryPoint.dist, started));
    else finish(refuse(told, started, problems));
  } catch (error) {
    finish(refuse(told, started, problemsOf(error)));
  } finally {
    told.end();
    // An idle socket of a library must not keep the terminal waiting.
    setTimeout(() => process.exit(), 2_000).unref();
  }
}

async function toInit(words: readonly string[]): Promise<void> {
  const { initFromTerminal } = await import('./terminal/init.js');
  process.exitCode = await initFromTerminal(words);
}

/** What is wrong with words that name no mode; nothing where there are none, as of somebody who asks what there is. */
function missingMode(words: readonly string[], problems: readonly Problem[]): readonly Problem[] {
  if (words.length === 0 || problems.some(({ message }) => message.startsWith('mode: '))) return problems;
  return [...problems, { message: 'mode: is missing', next: MODE_HINT }];
}

/** Tells every problem at once; the report of a run that came to nothing. */
function refuse(told: LogPrinter, run: StartedRun, problems: Problem[]): Report {
  for (const problem of problems) told.log({ kind: 'problem', problem });
  return refusedReport(run, problems);
}

async function work(
  settings: Settings,
  told: LogPrinter,
  crashes: Crashes,
  dist: string,
  started: StartedRun,
): Promise<Report> {
  const heard = logRecorder(told.log);
  const say = (problems: Problem[]): void => {
    for (const { message } of problems) told.log({ kind: 'line', text: `after the end: ${message}` });
  };
  const ended = await stoppable(
    {
      crashes,
      grace: GRACE,
      impatient: true,
      onStop: (why) => told.log({ kind: 'line', text: `${why}; Ctrl-C now ends at once` }),
      onStray: say,
    },
    (signal) => runPipeline(settings, { log: heard.log, signal, dist }),
  );
  if (ended.stopped !== undefined && 'signal' in ended.stopped && ended.stopped.signal === 'SIGHUP')
    process.once('exit', hangUp);
  const report = conclude(ended, heard, started);
  return { ...report, ...leftToPerson(report, settings.run.id) };
}

/** What a person does now about a run that was stopped in the middle: at a terminal no post step settles it. */
function leftToPerson(report: Report, runId: string): Pick<Report, 'next'> {
  const left = whatStays(report);
  if (report.unsettled !== true || left === '') return {};
  return {
    next: `${capitalize(left)}. The same command again goes on from there; with --mode=rollback --run-id=${runId} it puts everything back.`,
  };
}

/**
 * Ends by the signal itself, once all is written: at an ordinary exit Node sets the terminal back, and where that is
 * gone it aborts with a core dump, which would hold the secrets.
 */
function hangUp(): void {
  process.removeAllListeners('SIGHUP');
  process.kill(process.pid, 'SIGHUP');
}

/** The last lines, the report file and the exit code. */
function end(report: Report, identity: Run, told: LogPrinter, redact: (text: string) => string): void {
  const said = redactDeep(report, redact);
  process.exitCode = exitCodeOf(said);
  for (const text of [...phaseLines(said), ...closingLines(said)]) told.log({ kind: 'line', text });
  try {
    told.log({ kind: 'line', text: `report: ${writeReport(said, identity, tmpdir())}` });
  } catch (error) {
    told.log({
      kind: 'warning',
      problem: { message: `The report file was not written: ${problemsOf(error)[0]!.message}` },
    });
  }
}
