/**
 * Runs on the server, inside `node -`: its source text is sent, so it uses nothing but its arguments.
 * Writes the worker and its request into a new folder that only the user can read, starts the worker in a session
 * of its own, where no lost connection reaches it, and waits until it has taken the request (the worker removes the
 * file as soon as it has read it). Prints one line: `started`, or `refused` with what went wrong.
 */
export function startDetached(load: NodeJS.Require, bundle: string, request: string): void {
  const { mkdtempSync, writeFileSync, openSync, readFileSync, existsSync, rmSync } = load(
    'node:fs',
  ) as typeof import('node:fs');
  const { spawn } = load('node:child_process') as typeof import('node:child_process');
  const { tmpdir } = load('node:os') as typeof import('node:os');

  const say = (answer: object): void => {
    process.stdout.write(`\nmuva-worker ${JSON.stringify(answer)}\n`);
  };
  const refuse = (message: string, next: string): void =>
    say({ kind: 'refused', problems: [{ message, next }] });

  let folder: string;
  let output: number;
  try {
    folder = mkdtempSync(`${tmpdir()}/muva-deploy-`);
    writeFileSync(`${folder}/worker.js`, bundle, { mode: 0o600 });
    writeFileSync(`${folder}/request.json`, request, { mode: 0o600 });
    output = openSync(`${folder}/output`, 'a', 0o600);
  } catch (error) {
    refuse(
      `the worker could not be stored on the server: ${String(error)}`,
      'Check with: df -h /tmp; df -i /tmp',
    );
    return;
  }
  const child = spawn(process.execPath, [`${folder}/worker.js`, '--request', `${folder}/request.json`], {
    cwd: '/',
    detached: true,
    stdio: ['ignore', output, output],
  });
  const until = Date.now() + 30_000;
  let ended: string | undefined;
  child.once('error', (error) => {
    ended = String(error);
  });
  child.once('exit', (code, signal) => {
    ended = signal ?? `exit code ${code}`;
  });
  const timer = setInterval(() => {
    const taken = !existsSync(`${folder}/request.json`);
    const late = Date.now() > until;
    if (!taken && ended === undefined && !late) return;
    clearInterval(timer);
    child.unref();
    if (taken) {
      say({ kind: 'started', pid: child.pid });
    } else {
      if (late && child.pid) process.kill(-child.pid, 'SIGKILL');
      const said = readFileSync(`${folder}/output`, 'utf8').slice(-2_000);
      refuse(
        `the worker did not start: ${ended ?? 'it did nothing for 30 s'} ${said}`.trim(),
        'Nothing was changed.',
      );
    }
    rmSync(folder, { recursive: true, force: true });
  }, 10);
}
