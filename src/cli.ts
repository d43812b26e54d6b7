import { tmpdir } from 'node:os';
import { cleaned } from './base/cleaned.js';
import { exitCodeOf } from './base/outputs.js';
import { type Problem, problemsOf, type Report } from './base/report.js';
import { isUnmaskable, sanitiser } from './base/secret.js';
import { type Teller, teller } from './base/teller.js';
import { farewell } from './base/voice.js';
import { run } from './deploy.js';
import {
  type Crashes,
  conclude,
  hearing,
  refusal,
  snapshot,
  stoppable,
  watchCrashes,
  writeReport,
} from './door.js';
import { withEnvironment } from './settings/inputs.js';
import { parseSettings } from './settings/parse.js';
import { runIdentity } from './settings/run-identity.js';
import { secretInputs } from './settings/secret-inputs.js';
import type { Settings } from './settings/settings.js';
import { surroundings } from './settings/surroundings.js';
import { parseFlags, visibleSecrets } from './terminal/flags.js';
import { helpText } from './terminal/help.js';
import { phaseTable, terminalSink } from './terminal/sink.js';

/** From a terminal nobody kills us after ten seconds; a second Ctrl-C does. Milliseconds. */
const GRACE = 60_000;

/** The terminal door: flags and environment in, lines and an exit code out. Never throws. */
export async function cli(door: { dist: string }): Promise<void> {
  const startedAt = Date.now();
  const { argv, env, stdout } = process;
  // A reader that went away, such as `| head`, must not stop a deploy half-way.
  stdout.on('error', () => {});
  if (argv[2] === 'init') {
    const { initFromTerminal } = await import('./terminal/init.js');
    process.exitCode = await initFromTerminal(argv.slice(3));
    return;
  }
  const crashes = watchCrashes();
  const flags = parseFlags(argv.slice(2));
  if (flags.help) return void stdout.write(helpText());

  const read = snapshot(withEnvironment((name) => flags.values.get(name) ?? '', env));
  const clean = sanitiser(secretInputs(read).filter((value) => !isUnmaskable(value.trim())));
  const screen = {
    write: (text: string): void => void stdout.write(text),
    colour: stdout.isTTY === true && !env.NO_COLOR,
    debug: Boolean(env.MUVA_DEPLOY_DEBUG),
  };
  const told = teller(terminalSink(screen), clean);
  const mode = flags.values.get('mode') ?? '';
  try {
    const parsed = parseSettings(read, surroundings(runIdentity(env), process.cwd(), true));
    const problems = [...flags.problems, ...parsed.problems];
    for (const problem of visibleSecrets(flags.values)) told.log({ kind: 'warning', problem });
    if (parsed.settings && problems.length === 0) {
      end(await work(parsed.settings, told, crashes, door.dist, startedAt), told, clean);
    } else {
      for (const problem of problems) told.log({ kind: 'problem', problem });
      end(refusal(mode, problems, startedAt), told, clean);
    }
  } catch (error) {
    const problems = problemsOf(error);
    for (const problem of problems) told.log({ kind: 'problem', problem });
    end(refusal(mode, problems, startedAt), told, clean);
  } finally {
    told.end();
    // An idle socket of a library must not keep the terminal waiting.
    setTimeout(() => process.exit(), 2_000).unref();
  }
}

async function work(
  settings: Settings,
  told: Teller,
  crashes: Crashes,
  dist: string,
  startedAt: number,
): Promise<Report> {
  const heard = hearing(told.log);
  const say = (problems: Problem[]): void => {
    for (const { message } of problems) told.log({ kind: 'line', text: `after the end: ${message}` });
  };
  const ended = await stoppable(
    {
      crashes,
      grace: GRACE,
      impatient: true,
      onStop: (why) => told.log({ kind: 'line', text: `${why}; once more ends at once` }),
      onStray: say,
    },
    (signal) => run(settings, { log: heard.log, signal, dist }),
  );
  return conclude(ended, heard, { mode: settings.mode, startedAt });
}

/** The last lines, the report file and the exit code. */
function end(report: Report, told: Teller, clean: (text: string) => string): void {
  const said = cleaned(report, clean);
  process.exitCode = exitCodeOf(said);
  for (const text of [...phaseTable(said), ...farewell(said)]) told.log({ kind: 'line', text });
  try {
    told.log({ kind: 'line', text: `report: ${writeReport(said, tmpdir())}` });
  } catch (error) {
    told.log({
      kind: 'warning',
      problem: { message: `The report file was not written: ${problemsOf(error)[0]!.message}` },
    });
  }
}
