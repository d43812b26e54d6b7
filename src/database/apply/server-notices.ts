import type { Log } from '../../lib/log.js';
import type { Problem } from '../../lib/report.js';
import type { ServerNotice } from '../connection/connection.js';
import type { PlannedFile } from '../migrations/batches.js';
import { oneLine, positionIn } from '../sql/source-text.js';

/** Told of one file; the rest is counted. */
const MOST = 10;
/** The longest that one is told, in characters. */
const LONGEST = 300;

/** What the server said while files ran, until it is known what became of them: a try that is repeated says it again. */
export interface NoticeBook {
  /** A notice that came while a statement of this file ran, which begins at this index. */
  note(file: PlannedFile, from: number, notice: ServerNotice): void;
  /** Tells it, each once per file, and forgets it. */
  tell(log: Log): void;
  forget(): void;
}

export function noticeBook(): NoticeBook {
  const files = new Map<PlannedFile, Map<string, { warning: boolean; problem: Problem }>>();
  return {
    note(file, from, notice) {
      const message = textOf(notice, file.source);
      if (message === undefined) return;
      const noted = files.get(file) ?? new Map<string, { warning: boolean; problem: Problem }>();
      files.set(file, noted);
      if (noted.has(message)) return;
      noted.set(message, {
        warning: notice.severity === 'WARNING',
        problem: { message: `the server says: ${message}`, at: positionIn(file.file, file.source, from) },
      });
    },
    tell(log) {
      for (const [file, noted] of files) {
        const all = [...noted.values()];
        for (const { warning, problem } of all.slice(0, MOST))
          log({ kind: warning ? 'warning' : 'notice', problem });
        if (all.length > MOST)
          log({
            kind: 'notice',
            problem: { message: `${file.file}: the server says ${all.length - MOST} more` },
          });
      }
      files.clear();
    },
    forget: () => files.clear(),
  };
}

/** Where a text is put together by a program, values of rows may be in it. */
const RAISED = /^(?:exec_stmt_raise|PLy_output|do_util_elog|plv8_)/;

/** What is told of a notice; undefined of one that is no word to a person. What a program raises is told as it stands in the file. */
function textOf({ severity, message, routine = '' }: ServerNotice, source: string): string | undefined {
  if (severity !== 'WARNING' && severity !== 'NOTICE') return undefined;
  if (!RAISED.test(routine) || source.includes(message.replaceAll("'", "''")))
    return oneLine(message, LONGEST);
  const raised = formats(source).find((format) => isMadeOf(message, format));
  return raised === undefined
    ? 'a function or DO block raised a message, which may hold values of rows and is not shown'
    : oneLine(raised.replaceAll("''", "'").replaceAll('%', '…'), LONGEST);
}

function formats(source: string): string[] {
  const raise = /\braise\s+(?:notice|warning)\s+'((?:[^']|'')*)'/gi;
  return [...source.matchAll(raise)].map(([, format = '']) => format);
}

/** True where a message may be this format with values in the place of its percent signs. */
function isMadeOf(message: string, format: string): boolean {
  let index = 0;
  const parts = format.replaceAll("''", "'").split('%');
  for (const [number, part] of parts.entries()) {
    const found = number === 0 ? (message.startsWith(part) ? 0 : -1) : message.indexOf(part, index);
    if (found === -1) return false;
    index = found + part.length;
  }
  return message.endsWith(parts[parts.length - 1] ?? '');
}
