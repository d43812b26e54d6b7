import type { Readable } from 'node:stream';
import type { Client, ClientChannel } from 'ssh2';
import { Cancelled } from '../../lib/report.js';
import { whenAborted } from '../../lib/when-aborted.js';
import { sshError } from './ssh-error.js';

export interface ExecOptions {
  stdin?: string | Buffer | Readable;
  /** Called with each chunk as it comes. Given, stdout is not kept. */
  onStdout?: (chunk: Buffer) => void;
  onStderr?: (chunk: Buffer) => void;
  /** Milliseconds after which the command is given up; it may go on on the server. */
  deadline?: number;
  /** Milliseconds without a byte of stdout after which the connection counts as lost. */
  silence?: number;
  signal?: AbortSignal;
}

export interface ExecResult {
  /** Null where the command was ended by a signal. */
  code: number | null;
  /** Without `SIG`: KILL, TERM. */
  signal: string | null;
  stdout: string;
  stderr: string;
}

/** Bytes kept of each stream's beginning, and of its end. */
const KEPT = 128 * 1024;

/** A text of any length in bounded memory: its head and its tail, with a line between that says what is missing. */
export function boundedText(keep = KEPT): { add(chunk: Buffer): void; text(): string } {
  const head: Buffer[] = [];
  let headBytes = 0;
  let tail: Buffer[] = [];
  let tailBytes = 0;
  let dropped = 0;
  return {
    add(chunk) {
      const room = keep - headBytes;
      if (room > 0) {
        head.push(chunk.subarray(0, room));
        headBytes += Math.min(room, chunk.length);
      }
      const rest = room > 0 ? chunk.subarray(room) : chunk;
      if (rest.length === 0) return;
      tail.push(rest);
      tailBytes += rest.length;
      // Twice the size before it is cut, so that many small chunks are not copied again and again.
      if (tailBytes <= 2 * keep) return;
      const all = Buffer.concat(tail);
      dropped += all.length - keep;
      tail = [Buffer.from(all.subarray(all.length - keep))];
      tailBytes = keep;
    },
    text() {
      const start = Buffer.concat(head).toString('utf8');
      const end = Buffer.concat(tail);
      const cut = Math.max(0, end.length - keep);
      const missing = dropped + cut;
      const gap = missing > 0 ? `\n... ${missing} bytes left out ...\n` : '';
      return start + gap + end.subarray(cut).toString('utf8');
    },
  };
}

/**
 * Runs one command in a session of its own and resolves with however it ended; a nonzero code is no error here.
 * Rejects with SshError: `no-session` (nothing was run), `lost` or `deadline` (not known how it ended), or with
 * Cancelled.
 */
export function exec(
  client: Client,
  server: string,
  command: string,
  options: ExecOptions = {},
): Promise<ExecResult> {
  return new Promise((resolve, reject) => {
    let session: Session | undefined;
    let settled = false;
    let silence: NodeJS.Timeout | undefined;
    let listenNoMore = (): void => {};
    const settle = (outcome: ExecResult | Error): void => {
      if (settled) return;
      settled = true;
      clearTimeout(deadline);
      clearTimeout(silence);
      listenNoMore();
      client.removeListener('close', onClose);
      if (outcome instanceof Error) {
        reject(outcome);
        session?.close();
      } else {
        resolve(outcome);
      }
    };
    // How a command ended may be known already when the connection closes right behind it.
    const onClose = (): void => settle(session?.ended() ?? sshError('lost', server));
    const heard = (): void => {
      if (options.silence === undefined) return;
      clearTimeout(silence);
      silence = setTimeout(() => settle(sshError('lost', server, 'it went silent')), options.silence);
    };
    const deadline =
      options.deadline === undefined
        ? undefined
        : setTimeout(() => settle(sshError('deadline', server)), options.deadline);
    client.once('close', onClose);
    listenNoMore = whenAborted(options.signal, () => settle(new Cancelled()));
    if (settled) return;
    const opened = (error: Error | undefined, channel: ClientChannel): void => {
      if (error) {
        settle(openError(server, error));
      } else if (settled) {
        channel.close();
      } else {
        session = listen(channel, options, heard);
        heard();
        channel.on('close', onClose);
        sendInput(channel, options.stdin);
      }
    };
    try {
      client.exec(command, opened);
    } catch {
      // ssh2 throws where the socket is gone already.
      settle(sshError('lost', server));
    }
  });
}

interface Session {
  /** Undefined as long as the server has not said how the command ended: a killed session never does. */
  ended(): ExecResult | undefined;
  close(): void;
}

function openError(server: string, error: Error): Error {
  // `reason` stands only in an answer of the server; without one the connection is gone.
  return 'reason' in error && error.reason !== '' ? sshError('no-session', server) : sshError('lost', server);
}

function listen(channel: ClientChannel, options: ExecOptions, heard: () => void): Session {
  const stdout = boundedText();
  const stderr = boundedText();
  let exit: { code: number | null; signal: string | null } | undefined;
  channel.on('data', (chunk: Buffer) => {
    heard();
    if (options.onStdout) options.onStdout(chunk);
    else stdout.add(chunk);
  });
  channel.stderr.on('data', (chunk: Buffer) => {
    options.onStderr?.(chunk);
    stderr.add(chunk);
  });
  channel.on('exit', (code: number | null, signal?: string) => {
    exit = { code, signal: signal?.replace(/^SIG/, '') ?? null };
  });
  // A broken pipe tells nothing that the exit status does not tell better.
  channel.on('error', () => {});
  return {
    ended: () => exit && { ...exit, stdout: stdout.text(), stderr: stderr.text() },
    close: () => channel.close(),
  };
}

function sendInput(session: ClientChannel, stdin: ExecOptions['stdin']): void {
  if (stdin === undefined || typeof stdin === 'string' || Buffer.isBuffer(stdin)) {
    session.end(stdin ?? '');
    return;
  }
  // A source that breaks must not look like its end: the session is closed, and the command counts as lost.
  const stop = (): void => {
    if (!stdin.readableEnded) session.close();
  };
  stdin.on('error', stop);
  stdin.on('close', stop);
  if (stdin.destroyed) stop();
  else stdin.pipe(session);
}
