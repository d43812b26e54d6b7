import { annotate, annotationsOf } from '../github/annotations.js';
import type { Run } from '../inputs/settings.js';
import { redactDeep } from '../lib/redact-deep.js';
import { messageOf, type Problem, type Report } from '../lib/report.js';
import { closingLines } from '../report/log-format.js';
import { exitCodeOf, outputsOf } from '../report/outputs.js';
import type { FilePlaces } from '../report/summary/file-places.js';
import type { Language } from '../report/summary/language.js';
import { summaryOf, writeSummary } from '../report/summary/summary.js';
import { writeReport } from './run-lifecycle.js';

/** What is needed to publish a report. */
export interface Publication {
  readonly run: Run;
  readonly env: NodeJS.ProcessEnv;
  /** Makes of a text of any origin what may be shown. */
  readonly redact: (text: string) => string;
  /** Prints a line of the log. */
  readonly tell: (line: string) => void;
  readonly places: FilePlaces;
  /** Of the summary. */
  readonly language: Language;
  /** Where the report file goes. */
  readonly folder: string;
  /** What is told to GitHub's API in between; its warnings still reach the annotations. */
  readonly between?: (report: Report) => Promise<readonly Problem[]>;
}

/**
 * Everything that leaves the run: outputs first (a cancelled job may end us at any moment), then the API, the
 * summary, the annotations and the exit code. The report is redacted once, here.
 */
export async function publish(report: Report, publication: Publication): Promise<void> {
  const { run, env, redact, tell, places } = publication;
  const said = redactDeep(report, redact);
  process.exitCode = exitCodeOf(said);
  const warnings: Problem[] = [];
  const { values, cuts } = outputsOf(said, fileReport(said, publication, warnings));
  const { setOutput } = await import('@actions/core');
  // Without the file the toolkit would print the outputs as commands of the old kind.
  if (env.GITHUB_OUTPUT) for (const [name, value] of Object.entries(values)) setOutput(name, value);
  warnings.push(...((await publication.between?.(said)) ?? []));

  for (const line of closingLines(said)) tell(line);
  for (const text of cuts) tell(`${text}; the report file has all of them.`);
  if (values.report !== '') tell(`report: ${values.report}`);
  const whole = (): Report => ({ ...said, warnings: [...said.warnings, ...redactDeep(warnings, redact)] });
  try {
    await writeSummary(summaryOf(whole(), { run, places, language: publication.language }), env);
  } catch (error) {
    warnings.push({ message: `The job summary was not written: ${messageOf(error)}` });
  }
  await annotate(annotationsOf(whole(), places));
}

/** The path of the report file, or empty where it could not be written: that must not cost the other outputs. */
function fileReport(report: Report, { run, folder }: Publication, warnings: Problem[]): string {
  try {
    return writeReport(report, run, folder);
  } catch (error) {
    warnings.push({ message: `The report file was not written: ${messageOf(error)}` });
    return '';
  }
}
