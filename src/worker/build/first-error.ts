import { stripVTControlCharacters } from 'node:util';

/** Lines that are shown of an output. */
const MOST = 12;
/** `./app/page.tsx:5:10`, `src/a.ts(5,10)`: a file of the project with a position; not one of a stack. */
const POSITION =
  /^(?!\s*at\s).*?[\w\])-]\.[cm]?(?:[jt]sx?|vue|svelte|astro|css|scss|json)(?::\d+|\(\d+,\d+\))/;
const COMPLAINT = /\b(?:error|failed|cannot|unexpected)\b/i;

/**
 * The part of a program's output that says why it failed, without colours: from the first error that names a file and a
 * position on, else the last lines. Pure.
 */
export function firstError(output: string): string {
  const lines = stripVTControlCharacters(output)
    .split('\n')
    .map((line) => line.trimEnd())
    .filter((line) => line.trim() !== '');
  const at = lines.findIndex((line) => POSITION.test(line) && !line.includes('node_modules/'));
  if (at < 0) return lines.slice(-MOST).join('\n');
  // The line above often is the headline: "Failed to compile."
  const start = COMPLAINT.test(lines[at - 1] ?? '') ? at - 1 : at;
  // Warnings with positions come before an error without one: then the end says more.
  const part = lines.slice(start, start + MOST);
  return part.some((line) => COMPLAINT.test(line)) ? part.join('\n') : lines.slice(-MOST).join('\n');
}
