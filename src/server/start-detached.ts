/**
 * Runs on the server, inside `node -`: its source text is sent, so it uses nothing but its arguments.
 * Writes the worker into a new folder that only the user can read, starts it in a session of its own, where no lost
 * connection reaches it, gives it the run's key and the request through a pipe, so that no file ever holds them, and
 * waits until it has taken them (it removes the file `waiting` as soon as it has read them). Prints one line: `started`, or `refused` with what went wrong.
 */
export function startDetached(load: NodeJS.Require, bundle: string, request: string, key: string): void {
  const fs = load('node:fs') as typeof import('node:fs');
  const { spawn } = load('node:child_process') as typeof import('node:child_process');
  const { tmpdir } = load('node:os') as typeof import('node:os');
  const MARK = 'muva-worker ';
  /** Milliseconds for taking the request, and after that for refusing it. */
  const PATIENCE = 30_000;
  const SECOND_THOUGHTS = 300;

  const refuse = (message: string, next: string): void => {
    console.log(`${MARK}${JSON.stringify({ kind: 'refused', problems: [{ message, next }] })}`);
  };
  let folder = '';
  let output = 0;
  try {
    if ((fs.statSync(tmpdir()).mode & 0o1002) === 0o002) {
      refuse(
        `${tmpdir()} can be written by every user of the server and has no sticky bit: another one could change what is run`,
        `Run once on the server: sudo chmod +t ${tmpdir()}`,
      );
      return;
    }
    folder = fs.mkdtempSync(`${tmpdir()}/muva-deploy-`);
    fs.writeFileSync(`${folder}/worker.js`, bundle, { mode: 0o600 });
    fs.writeFileSync(`${folder}/waiting`, '', { mode: 0o600 });
    output = fs.openSync(`${folder}/output`, 'a', 0o600);
  } catch (error) {
    refuse(
      `the worker could not be stored on the server: ${error}`,
      'Look at the room there: df -h /tmp; df -i /tmp',
    );
    if (folder) fs.rmSync(folder, { recursive: true, force: true });
    return;
  }
  const child = spawn(process.execPath, [`${folder}/worker.js`, '--waiting', `${folder}/waiting`], {
    cwd: '/',
    detached: true,
    stdio: ['pipe', output, output],
  });
  // A worker that ended before it read all is told by its end.
  child.stdin?.on('error', () => {}).end(`${key}\n${request}`);
  let ended: string | undefined;
  child.once('error', (error) => {
    ended = String(error);
  });
  child.once('exit', (code, signal) => {
    ended = signal ?? `exit code ${code}`;
  });
  const from = Date.now();
  let takenAt: number | undefined;
  const timer = setInterval(() => {
    const now = Date.now();
    if (!fs.existsSync(`${folder}/waiting`)) takenAt ??= now;
    const said = fs.readFileSync(`${folder}/output`, 'utf8');
    const answer = said.split('\n').find((line) => line.startsWith(MARK));
    const settled = takenAt !== undefined && (ended !== undefined || now - takenAt > SECOND_THOUGHTS);
    const hopeless = ended !== undefined || now - from > PATIENCE;
    if (answer === undefined && !settled && !hopeless) return;
    clearInterval(timer);
    child.unref();
    if (answer !== undefined) {
      console.log(answer);
    } else if (takenAt !== undefined && (ended === undefined || ended === 'exit code 0')) {
      console.log(`${MARK}${JSON.stringify({ kind: 'started', pid: child.pid })}`);
    } else {
      if (ended === undefined && child.pid) process.kill(-child.pid, 'SIGKILL');
      const why = `${ended ?? `it did nothing for ${PATIENCE / 1_000} s`} ${said.slice(-2_000)}`;
      refuse(
        `the worker did not start: ${why.trim()}`,
        'Nothing was changed. Check the server, and run the job again.',
      );
    }
    fs.rmSync(folder, { recursive: true, force: true });
  }, 10);
}
