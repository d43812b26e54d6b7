import { randomUUID } from 'node:crypto';
import { type Readable, Transform } from 'node:stream';
import { Failure } from '../../lib/report.js';
import { commandLine, quote } from '../../lib/shell.js';
import { exitProblem } from '../ssh/exit-status.js';
import { asFailure } from '../ssh/ssh-error.js';
import type { Host } from './fleet.js';

/**
 * Fixed texts without quotes in them; folder and name come as words behind them. A dump must not land where another user
 * let a symlink lead: the folder, and the one that it lies in, are our own, or nothing is written.
 */
const RECEIVE = `umask 077
set -- "$1" "$2" "$(dirname -- "$1")"
mkdir -p -- "$(dirname -- "$3")" || exit
for f in "$3" "$1"; do
  if [ -L "$f" ]; then exit 66; fi
  if [ -e "$f" ]; then :; else mkdir -- "$f" || exit; fi
  if [ -L "$f" ]; then exit 66; fi
  [ -O "$f" ] || exit 66
done
cat >"$1/$2"`;
const KEEP = '[ "$(wc -c <"$1/$2")" -eq "$4" ] && mv -- "$1/$2" "$1/$3" || { rm -f -- "$1/$2"; exit 65; }';
const DROP = 'rm -f -- "$1/$2"';

/**
 * Streams a file into a folder of a host, readable for its user alone, and resolves with its path. It gets its name
 * only once it is complete there: what was cut on the way is removed and never taken for the whole.
 */
export async function storeFile(
  host: Host,
  file: { folder: string; name: string; content: Readable },
  signal?: AbortSignal,
): Promise<string> {
  const part = `.${randomUUID()}.part`;
  const watched = signal ? { signal } : {};
  let bytes = 0;
  const counted = new Transform({
    transform(chunk: Buffer, _encoding, done) {
      bytes += chunk.length;
      done(null, chunk);
    },
  });
  file.content.on('error', (error) => counted.destroy(error));
  let broken: Error | undefined;
  counted.on('error', (error) => {
    broken = error;
  });
  try {
    await mustRunOnHost(host, RECEIVE, [file.folder, part], {
      stdin: file.content.pipe(counted),
      ...watched,
    });
    if (broken) throw broken;
    await mustRunOnHost(host, KEEP, [file.folder, part, file.name, String(bytes)], watched);
  } catch (error) {
    await dropFile(host, file.folder, part);
    throw asFailure(broken ?? error);
  }
  return `${file.folder}/${file.name}`;
}

/** Removes a stored file again; a host that cannot be asked keeps it. */
export async function dropFile(host: Host, folder: string, name: string): Promise<void> {
  await host.exec(script(DROP, [folder, name]), { deadline: 10_000 }).catch(() => {});
}

function script(text: string, words: readonly string[]): string {
  return `${commandLine('sh', '-c')} '${text}' ${['sh', ...words].map(quote).join(' ')}`;
}

async function mustRunOnHost(
  host: Host,
  text: string,
  words: readonly string[],
  options: Parameters<Host['exec']>[1],
): Promise<void> {
  const result = await host.exec(script(text, words), options);
  if (result.code === 0) return;
  if (result.code === 65)
    throw new Failure({ message: `${host.prefix}the file did not arrive whole`, next: 'Run the job again.' });
  if (result.code === 66)
    throw new Failure({
      message: `${host.prefix}${words[0]}, or the folder that it lies in, is a symlink or belongs to another user: nothing was stored there`,
      next: `Look who made it (ls -ld), and delete on the server what is not of the user who deploys.`,
    });
  throw new Failure({
    ...exitProblem(host.name, result),
    next: 'Look at the room and the rights there: df -h; ls -ld of the folder.',
  });
}
