import type { Socket } from 'node:net';
import type pg from 'pg';
import { definedOnly } from '../../lib/defined-only.js';
import { Cancelled } from '../../lib/report.js';
import { whenAborted } from '../../lib/when-aborted.js';
import { isPositionWithin } from '../sql/source-text.js';
import { errorCodeOf } from './connect-problem.js';
import type { SendOptions, StatementResult } from './connection.js';
import { LostConnection, SqlError } from './sql-error.js';

/** From the wish to cancel to giving up: the runner kills the process 7.5 s after it asked. */
const CANCEL_WITHIN = 6_000;

/** What can be done about a message over a second connection. */
export interface Aside {
  cancel: () => Promise<void>;
  isAtWork: () => Promise<boolean>;
  /** Milliseconds without a word after which the server is asked whether it is at work. */
  silence: number;
}

/** Bytes per millisecond of the slowest line that is waited for. */
const SLOWEST = 50;

/**
 * Milliseconds that a message may be on its way when it has left this process: buffers of the system and of poolers
 * take it long before the server has all of it, and the server is not at work until then.
 */
export function onItsWay(message: string): number {
  return Math.round(Buffer.byteLength(message) / SLOWEST);
}

/**
 * Sends one message and waits for its answer, as long as there is one to wait for.
 * @throws Cancelled where the signal has fired already: nothing is sent then.
 */
export function exchange(
  client: pg.Client,
  text: string,
  shift: number,
  sending: SendOptions,
  aside: Aside,
): Promise<StatementResult[]> {
  return new Promise((resolve, reject) => {
    if (sending.signal?.aborted) return reject(new Cancelled());
    const giveUp = (why: string, code: string): void => {
      finish();
      reject(new LostConnection(why, code));
      streamOf(client).destroy();
    };
    const stream = streamOf(client);
    const way = onItsWay(text);
    let deadline: NodeJS.Timeout | undefined;
    let listening: Listening | undefined;
    const late = (): void => giveUp(`no answer within ${Math.round(sending.deadline / 1000)} s`, 'DEADLINE');
    /** Nobody can answer before all is sent, so time counts from there. */
    const onSent = (): void => {
      stream.setTimeout(0);
      clearTimeout(deadline);
      deadline = setTimeout(late, sending.deadline + way);
      listening = watchSilence(aside, way, () =>
        giveUp('the server has finished, and its answer did not arrive', 'SILENCE'),
      );
    };
    const onStalled = (): void =>
      giveUp('the message could not be sent: the network takes no more', 'STALLED');
    let patience: NodeJS.Timeout | undefined;
    const onNotice = (notice: NoticeFields): void => {
      // The server speaks, so it has all of the message.
      clearTimeout(deadline);
      deadline = setTimeout(late, sending.deadline);
      listening?.heard();
      const { severity = '', message = '', routine, where } = notice;
      sending.onNotice?.({ severity, message, ...definedOnly({ routine, where }) });
    };
    const finish = (): void => {
      clearTimeout(deadline);
      clearTimeout(patience);
      listening?.stop();
      stream.setTimeout(0);
      stream.removeListener('timeout', onStalled);
      stream.removeListener('drain', onSent);
      client.removeListener('notice', onNotice);
      listenNoMore();
    };
    client.on('notice', onNotice);
    const listenNoMore = whenAborted(sending.signal, () => {
      void aside.cancel().catch(() => undefined);
      patience = setTimeout(() => giveUp('cancelled, and no answer came', 'CANCELLED'), CANCEL_WITHIN);
    });
    client.query(text).then(
      (result: pg.QueryResult | pg.QueryResult[]) => {
        finish();
        const results = Array.isArray(result) ? result : [result];
        resolve(results.map(({ command, rows }) => ({ command: command ?? '', rows })));
      },
      (error: unknown) => {
        finish();
        const said = sqlErrorOf(error, shift);
        reject(
          said ??
            new LostConnection('the connection to the database was lost', errorCodeOf(error) || 'ENDED'),
        );
        if (!said) streamOf(client).destroy();
      },
    );
    if (!stream.writableNeedDrain) onSent();
    else {
      // The time-out of a socket does not fire as long as it is still being emptied.
      stream
        .once('timeout', onStalled)
        .once('drain', onSent)
        .setTimeout(2 * aside.silence);
    }
  });
}

interface Listening {
  heard(): void;
  stop(): void;
}

/**
 * A network that swallows packets looks like a long statement. After each stretch of silence the server is asked
 * whether it is still at work; twice no means that the answer is lost. Where it cannot be asked, nothing is concluded;
 * nor in the first `way` milliseconds, until the server was seen at work: it may not have the whole message yet.
 */
function watchSilence({ isAtWork, silence }: Aside, way: number, lost: () => void): Listening {
  const started = performance.now();
  let arrived = false;
  let idle = 0;
  let stopped = false;
  const timer = setInterval(() => {
    isAtWork().then(
      (atWork) => {
        arrived ||= atWork || performance.now() - started > way;
        idle = atWork || !arrived ? 0 : idle + 1;
        if (idle >= 2 && !stopped) lost();
      },
      () => undefined,
    );
  }, silence);
  return {
    heard() {
      arrived = true;
      idle = 0;
      timer.refresh();
    },
    stop() {
      stopped = true;
      clearInterval(timer);
    },
  };
}

export function streamOf(client: pg.Client): Socket {
  return (client as unknown as { connection: { stream: Socket } }).connection.stream;
}

/** Classes of errors whose detail names objects and never holds a row; what a program raises may hold anything. */
function namesObjects({ code = '', routine }: { code?: string; routine?: string }): boolean {
  return (
    /^(?:2BP01|0A000|42)/.test(code) &&
    routine !== undefined &&
    !/^(?:exec_stmt_raise|PLy_|do_util_elog|plv8_)/.test(routine)
  );
}

/** An answer of the server as our own error; undefined for anything else. `shift` is what stood before the message. */
export function sqlErrorOf(error: unknown, shift: number): SqlError | undefined {
  if (!(error instanceof Error) || !('severity' in error)) return undefined;
  const fields = error as Error & Partial<Record<keyof pg.DatabaseError, string>>;
  if (typeof fields.code !== 'string') return undefined;
  const number = (value: unknown): number | undefined => (value === undefined ? undefined : Number(value));
  const position = number(fields.position);
  const internal = number(fields.internalPosition);
  // Where it lies behind the query that it should be in, it is a position in the message too.
  const outside = internal !== undefined && !isPositionWithin(fields.internalQuery ?? '', internal);
  const internalPosition = outside ? internal - shift : internal;
  return new SqlError({
    message: fields.message,
    code: fields.code,
    ...definedOnly({ severity: fields.severity }),
    ...(position === undefined ? {} : { position: position - shift }),
    ...definedOnly({
      internalPosition,
      internalQuery: fields.internalQuery,
      where: fields.where,
      hint: fields.hint,
      objects: namesObjects(fields) ? fields.detail : undefined,
    }),
  });
}

interface NoticeFields {
  severity?: string | undefined;
  message?: string | undefined;
  routine?: string | undefined;
  where?: string | undefined;
}
