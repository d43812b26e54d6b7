import type { Readable } from 'node:stream';
import { Failure } from '../base/report.js';
import { quote } from '../base/shell.js';
import { exitProblem } from './exit-status.js';
import { asFailure, type Host } from './fleet.js';

export interface StoreOptions {
  /** So many of the newest files stay in the folder. */
  keep: number;
  signal: AbortSignal;
}

/**
 * A file on a server, written from a stream: folder 0700, file 0600, under another name until it is complete.
 * Names must sort by time, because the oldest are removed.
 */
export function openStore(
  host: Host,
  folder: string,
  name: string,
  { keep, signal }: StoreOptions,
): {
  path: string;
  write(content: Readable): Promise<number>;
  keep(): Promise<void>;
  discard(): Promise<void>;
} {
  const path = `${folder}/${name}`;
  const part = quote(`${path}.part`);
  const run = async (script: string, stdin?: Readable): Promise<void> => {
    const command = `sh -c ${quote(script)}`;
    const result = await host
      .exec(command, { signal, ...(stdin ? { stdin } : {}) })
      .catch((error: unknown) => {
        throw asFailure(error);
      });
    if (result.code !== 0) throw new Failure(exitProblem(host.name, result));
  };
  return {
    path,
    async write(content) {
      let bytes = 0;
      content.on('data', (chunk: Buffer) => {
        bytes += chunk.length;
      });
      content.pause();
      await run(`umask 077 && mkdir -p -- ${quote(folder)} && cat > ${part}`, content);
      return bytes;
    },
    keep: () =>
      run(
        `cd -- ${quote(folder)} && mv -- ${part} ${quote(path)} && ls -1 | grep -E '^[0-9]{8}T[0-9]{6}Z-.*\\.dump$' | sort -r | tail -n +${keep + 1} | while IFS= read -r old; do rm -f -- "$old"; done`,
      ),
    discard: () => run(`rm -f -- ${part}`),
  };
}
