import { connect } from 'node:net';

/**
 * One question to PM2's daemon over its own socket, as PM2's command line asks it. Starting that command line takes
 * ten times as long as the answer, and a cutover waits for several of them.
 *
 * PM2 speaks AMP there: a byte with the version and the number of parts, then each part as four bytes of length and
 * the bytes themselves, of which `j:` begins JSON and `s:` a text.
 */

const AMP_VERSION = 1;

/** Calls a method of the daemon without arguments; resolves to the first value of its answer. Rejects on anything unexpected. */
export function askDaemon(socketPath: string, method: string, patience: number): Promise<unknown> {
  return new Promise((resolve, reject) => {
    const socket = connect(socketPath);
    let received = Buffer.alloc(0);
    const end = (settle: () => void): void => {
      clearTimeout(timer);
      socket.destroy();
      settle();
    };
    const fail = (why: string | Error): void =>
      end(() => reject(why instanceof Error ? why : new Error(`PM2's daemon ${why}`)));
    const timer = setTimeout(() => fail(`did not answer within ${patience} ms`), patience);
    socket.once('connect', () => socket.write(question(method)));
    socket.on('data', (chunk: Buffer) => {
      received = Buffer.concat([received, chunk]);
      try {
        const parts = messageParts(received);
        if (parts) end(() => resolve(answerOf(parts)));
      } catch (error) {
        fail(error instanceof Error ? error : 'answered something else');
      }
    });
    socket.once('error', fail);
    socket.once('close', () => fail('closed the connection'));
  });
}

/** The second part is the number that the answer carries again. */
export function question(method: string): Buffer {
  const parts = [`j:${JSON.stringify({ type: 'call', method, args: [{}] })}`, 's:1'].map((text) => {
    const body = Buffer.from(text);
    const length = Buffer.alloc(4);
    length.writeUInt32BE(body.length);
    return Buffer.concat([length, body]);
  });
  return Buffer.concat([Buffer.from([(AMP_VERSION << 4) | parts.length]), ...parts]);
}

/** The parts of a message; undefined while some of it is still to come. */
export function messageParts(bytes: Buffer): Buffer[] | undefined {
  if (bytes.length === 0) return undefined;
  if (bytes[0]! >> 4 !== AMP_VERSION) throw new Error("PM2's daemon speaks another protocol");
  const parts: Buffer[] = [];
  let at = 1;
  for (let count = bytes[0]! & 0x0f; count > 0; count--) {
    if (bytes.length < at + 4) return undefined;
    const length = bytes.readUInt32BE(at);
    if (bytes.length < at + 4 + length) return undefined;
    parts.push(bytes.subarray(at + 4, at + 4 + length));
    at += 4 + length;
  }
  return parts;
}

function answerOf(parts: readonly Buffer[]): unknown {
  const text = parts[0]?.toString('utf8') ?? '';
  if (!text.startsWith('j:')) throw new Error("PM2's daemon answered no JSON");
  const answer = JSON.parse(text.slice(2)) as { args?: unknown[]; error?: unknown };
  if (!Array.isArray(answer.args)) throw new Error(`PM2's daemon refused: ${String(answer.error)}`);
  // A method hands over an error or null first, then what was asked for.
  return answer.args[answer.args.length - 1];
}
