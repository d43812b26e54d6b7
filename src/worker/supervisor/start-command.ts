/** What a command line comes to: a script that Node runs, another program, or work for a shell. */
export type Start =
  | { kind: 'node'; script: string; args: string[]; env: Record<string, string> }
  | { kind: 'program'; file: string; args: string[]; env: Record<string, string> }
  | { kind: 'shell'; command: string };

/** Characters that only a shell understands. */
const FOR_A_SHELL = /["'`$\\&|;<>(){}*?!#~\n]/;
const ASSIGNMENT = /^[A-Za-z_]\w*=/;

/** Takes a command line apart, as far as that can be done without a shell. */
export function startOf(command: string): Start {
  if (FOR_A_SHELL.test(command)) return { kind: 'shell', command };
  const words = command.trim().split(/\s+/);
  // Both only set what follows.
  if ((words[0] === 'cross-env' || words[0] === 'env') && ASSIGNMENT.test(words[1] ?? '')) words.shift();
  const first = words.findIndex((word) => !ASSIGNMENT.test(word));
  if (first < 0) return { kind: 'shell', command };
  const env = Object.fromEntries(
    words.slice(0, first).map((word) => {
      const at = word.indexOf('=');
      return [word.slice(0, at), word.slice(at + 1)];
    }),
  );
  const [file, ...args] = words.slice(first) as [string, ...string[]];
  const [script, ...rest] = args;
  return file === 'node' && script !== undefined && !script.startsWith('-')
    ? { kind: 'node', script, args: rest, env }
    : { kind: 'program', file, args, env };
}

/** Scripts of package.json that lead on to one another are followed so far. */
const DEEPEST = 5;

/**
 * The command behind `npm start` and the like, so that PM2 runs the application and not the package manager; any other
 * command stays as it is, and so does a script that others belong before or behind.
 */
export function unwrapped(command: string, scripts: Record<string, string> = {}): string {
  let found = command;
  for (let depth = 0; depth < DEEPEST; depth++) {
    const name = /^(?:npm|pnpm|yarn|bun)(?:\s+run)?\s+([\w:-]+)$/.exec(found.trim())?.[1];
    const script = name === undefined ? undefined : scripts[name];
    if (script === undefined || scripts[`pre${name}`] !== undefined || scripts[`post${name}`] !== undefined)
      break;
    found = script;
  }
  return found;
}
