import { createHmac, timingSafeEqual } from 'node:crypto';

/**
 * The lines of a run's events. They lie in a file that every program of the deploy user can write, the build among
 * them, so each carries a counter and a MAC under a key that only the worker and the action which started it have: in
 * memory, never in a file, an argument or an environment.
 */

/** Bytes of a key. */
export const KEY_LENGTH = 32;

/** Bytes of the longest line; a longer one is none of the worker's. */
export const LONGEST_EVENT = 1_048_576;

const LINE = /^\{"n":([1-9]\d{0,14}),"mac":"([0-9a-f]{64})","event":(.*)\}$/s;

/** Seals one event after the other, for one run. */
export interface Sealer {
  /** The next event, as JSON, as the line to be appended. It begins with a line break too, for what somebody else left without one. */
  line(event: string): string;
  /** The line is written as a whole; without this the next one has the same number, so that a lost one leaves no gap. */
  written(): void;
}

/** Seals under `key`, of KEY_LENGTH bytes. `from`: the number of the last line that is in the file already. */
export function sealer(key: Buffer, from = 0): Sealer {
  let count = from;
  return {
    line(event) {
      const n = count + 1;
      return `\n{"n":${n},"mac":"${mac(key, n, event).toString('hex')}","event":${event}}\n`;
    },
    written() {
      count += 1;
    },
  };
}

/** The number and the event of a line; undefined where it was not sealed with this key. */
export function unseal(key: Buffer, line: string): { n: number; event: string } | undefined {
  const [, number, seal, event] = LINE.exec(line) ?? [];
  if (number === undefined || seal === undefined || event === undefined) return undefined;
  const n = Number(number);
  return timingSafeEqual(mac(key, n, event), Buffer.from(seal, 'hex')) ? { n, event } : undefined;
}

function mac(key: Buffer, n: number, event: string): Buffer {
  return createHmac('sha256', key).update(`${n}\n${event}`).digest();
}
