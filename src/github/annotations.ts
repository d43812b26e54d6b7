import type { AnnotationProperties } from '@actions/core';
import { capitalize } from '../lib/capitalize.js';
import { definedOnly } from '../lib/defined-only.js';
import { type Problem, problemKey, type Report } from '../lib/report.js';
import { outcomeText } from '../report/log-format.js';
import { exitCodeOf } from '../report/outputs.js';
import { type FilePlaces, fromWorkspace } from '../report/summary/file-places.js';

/** GitHub keeps ten per level and step, and drops the rest silently. */
const MOST = 10;
/** Characters. */
const LONGEST = 4_000;

/** What GitHub shows on the run's page and beside a file; `failed` also makes the step fail. */
export interface Annotation {
  level: 'failed' | 'error' | 'warning' | 'notice';
  message: string;
  properties: AnnotationProperties;
}

/**
 * What is shown beside the files of a pull request and on top of the run: how it ended, then what went wrong,
 * then the warnings; ten at most, and the last one tells how many more the log has.
 */
export function annotationsOf(report: Report, places: FilePlaces): Annotation[] {
  const failed = exitCodeOf(report) !== 0;
  const [cause] = report.problems;
  const all: Annotation[] = [];
  if (failed) {
    const why = cause === undefined ? '' : `: ${cause.message}`;
    const { next } = report;
    const how = { message: `${capitalize(outcomeText(report))}${why}`, ...definedOnly({ next }) };
    all.push(annotation('failed', how, places));
  }
  // What to do is told with the cause. Where the cause itself has other advice, that is told as well.
  const whole = cause?.at === undefined && (cause?.next === undefined || cause.next === report.next);
  const told = new Set<string>(failed && cause !== undefined && whole ? [problemKey(cause)] : []);
  const add = (level: 'error' | 'warning', problems: readonly Problem[]): void => {
    for (const problem of problems) {
      if (told.has(problemKey(problem))) continue;
      told.add(problemKey(problem));
      all.push(annotation(level, problem, places));
    }
  };
  add('error', report.problems);
  // A place in a file is worth more than a remark without one.
  const placed = report.warnings.filter((problem) => problem.at !== undefined);
  add('warning', [...placed, ...report.warnings.filter((problem) => problem.at === undefined)]);
  if (all.length <= MOST) return all;
  const rest = all.length - (MOST - 1);
  return [
    ...all.slice(0, MOST - 1),
    { level: 'notice', message: `${rest} more are in the log and in the report file.`, properties: {} },
  ];
}

function annotation(level: Annotation['level'], problem: Problem, places: FilePlaces): Annotation {
  const code = problem.code === undefined ? '' : ` (${problem.code})`;
  const next = problem.next === undefined ? '' : `\n${problem.next}`;
  const message = `${problem.message}${code}${next}`;
  if (problem.at === undefined) return { level, message: message.slice(0, LONGEST), properties: {} };
  const { file, line, column } = problem.at;
  return {
    level,
    message: message.slice(0, LONGEST),
    properties: {
      file: fromWorkspace(file, places),
      startLine: line,
      startColumn: column,
    },
  };
}

/** Gives them to the runner; one of level `failed` also sets the exit code. */
export async function annotate(annotations: readonly Annotation[]): Promise<void> {
  const core = await import('@actions/core');
  for (const { level, message, properties } of annotations) {
    if (level === 'failed') core.setFailed(message);
    else core[level](message, properties);
  }
}
