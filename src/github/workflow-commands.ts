import { appendFileSync } from 'node:fs';

/**
 * The workflow commands that are written before and while the work runs. The toolkit (@actions/core) has the same, but
 * loading it takes longer than everything before our first line; it is loaded when the outputs are written.
 */

/** Writes one line of the log. Standard output of an action is a pipe, which Node writes at once. */
export function printLine(line: string): void {
  process.stdout.write(`${line}\n`);
}

/** Writes `::name::text`. What would end the line, and what the runner decodes, is encoded. */
export function workflowCommand(name: string, text = ''): void {
  const encoded = text.replaceAll('%', '%25').replaceAll('\r', '%0D').replaceAll('\n', '%0A');
  printLine(`::${name}::${encoded}`);
}

/**
 * Keeps a value of one line for the post step, in the file that the runner names.
 * @throws the file system's error where it cannot be written: work that the post step could not bring to an end must not
 * begin.
 */
export function saveState(env: NodeJS.ProcessEnv, name: string, value: string): void {
  if (env.GITHUB_STATE) appendFileSync(env.GITHUB_STATE, `${name}=${value}\n`);
}
