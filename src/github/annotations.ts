import { isAbsolute, posix, relative } from 'node:path';
import type { AnnotationProperties } from '@actions/core';
import { exitCodeOf } from '../base/outputs.js';
import type { Problem, Report } from '../base/report.js';
import { outcomeText } from '../base/voice.js';

/** GitHub keeps ten per level and step, and drops the rest without a word. */
const MOST = 10;
const LONGEST = 4_000;

export interface Annotation {
  level: 'failed' | 'error' | 'warning' | 'notice';
  message: string;
  properties: AnnotationProperties;
}

export interface Places {
  /** The top of the checkout; absolute. */
  workspace: string;
  /** The input working-directory: from the workspace, or absolute. */
  project: string;
}

/**
 * What is shown beside the files of a pull request and on top of the run: how it ended, then what went wrong,
 * then the warnings; ten at most, and the last one tells how many more the log has.
 */
export function annotationsOf(report: Report, places: Places): Annotation[] {
  const failed = exitCodeOf(report) !== 0;
  const [cause] = report.problems;
  const all: Annotation[] = [];
  if (failed) {
    const why = cause === undefined ? '' : `: ${cause.message}`;
    all.push({ level: 'failed', message: `${capital(outcomeText(report))}${why}`, properties: {} });
  }
  const told = new Set<string>(failed && cause !== undefined && cause.at === undefined ? [keyOf(cause)] : []);
  const add = (level: 'error' | 'warning', problems: readonly Problem[]): void => {
    for (const problem of problems) {
      if (told.has(keyOf(problem))) continue;
      told.add(keyOf(problem));
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

function annotation(level: 'error' | 'warning', problem: Problem, places: Places): Annotation {
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

/** GitHub takes paths from the top of the checkout; a problem's file is told from the project's folder. */
function fromWorkspace(file: string, { workspace, project }: Places): string {
  const path = isAbsolute(file) ? file : posix.join(project, file);
  return isAbsolute(path) ? relative(workspace, path) : path;
}

/** Says them; the first one of a failed run also makes the step fail. */
export async function annotate(annotations: readonly Annotation[]): Promise<void> {
  const core = await import('@actions/core');
  for (const { level, message, properties } of annotations) {
    if (level === 'failed') core.setFailed(message);
    else core[level](message, properties);
  }
}

function keyOf(problem: Problem): string {
  return JSON.stringify([problem.message, problem.at?.file, problem.at?.line]);
}

function capital(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1);
}
