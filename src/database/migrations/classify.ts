import { formatBytes } from '../../lib/bytes.js';
import type { SourcePosition } from '../../lib/report.js';
import { shortenList } from '../../lib/shorten-list.js';
import type { Node } from '../sql/parse-tree.js';
import type { Parse, ParsedSql, Statement } from '../sql/parser.js';
import { blank, positionIn } from '../sql/source-text.js';
import type { FileShape, Segment } from './file-shape.js';
import { whyNonTransactional } from './non-transactional.js';
import { sectionOfOtherTool } from './other-tools.js';
import { ownTimeout, timedGroups } from './own-timeouts.js';
import { askedRelation, type RelationName } from './partitioned.js';
import { psqlCommands } from './psql-commands.js';
import { carryOver } from './session-state.js';
import { strangeCharacter } from './strange-characters.js';
import { type FilePart, readTransactions } from './transaction-control.js';

/** Above this size the one-statement form takes too much of the server's memory (about 30 times the file). */
const LARGEST_TOGETHER = 8 * 1024 * 1024;

/** What the text alone does not tell. */
interface Circumstances {
  /** The UTF-16 index behind what of it is committed already, where it was begun in parts. */
  stands?: number;
  /** Whether a relation that a REINDEX or CLUSTER names is partitioned. */
  partitioned?: (relation: RelationName) => boolean;
}

/** Finds out how a file must be run, and all that speaks against running it. Reads nothing but the text. */
export function classify(
  file: string,
  text: string,
  parse: Parse,
  { stands, partitioned }: Circumstances = {},
): FileShape {
  const shape: FileShape = {
    mode: 'together',
    source: text,
    segments: [],
    standing: 0,
    transactions: 1,
    sessionBound: [],
    notices: [],
    remarks: [],
    problems: [],
  };
  const at = (index: number): SourcePosition => positionIn(file, text, index);
  for (const command of psqlCommands(text)) {
    if (command.harmless) shape.source = blank(shape.source, command.from, command.to);
    else
      shape.problems.push({
        message: `${command.name} is a command of psql, not SQL`,
        at: at(command.from),
        next: 'Remove the line; a migration is run by the server, not by psql.',
      });
  }
  const section = sectionOfOtherTool(file, text);
  if (section) shape.problems.push(section);
  const strange = strangeCharacter(file, text);
  const parsed = parse(shape.source);
  if ('tooLarge' in parsed) {
    shape.problems.push({
      message: `${file} is too large to be parsed (${formatBytes(Buffer.byteLength(text))})`,
      at: { file, line: 1, column: 1 },
      next: 'Split it into files of at most 16 MB. Rows that are no part of the schema are better loaded by a job of their own.',
    });
    return shape;
  }
  if (parsed.wrong && strange) {
    shape.problems.push(strange);
    return shape;
  }
  if (strange) shape.notices.push(strange);
  if (parsed.wrong) {
    const copy = copyFromStdin(shape.source, parsed, parse);
    if (copy !== undefined) {
      // What follows is data: a backslash in it is no command.
      const line = at(copy).line;
      shape.problems = shape.problems.filter((problem) => (problem.at?.line ?? 0) < line);
      refuseCopy(shape, at(copy));
    } else if (shape.problems.length === 0)
      shape.doubt = { message: parsed.wrong.message, code: '42601', at: at(parsed.wrong.index) };
    return withSize(shape);
  }
  shape.statements = parsed.statements;
  for (const statement of parsed.statements) {
    if (statement.kind === 'CopyStmt') checkCopy(shape, statement, at(statement.from));
    const asked = partitioned && askedRelation(statement);
    if (asked && partitioned(asked)) statement.partitioned = true;
  }
  const { parts, control, notices, problems } = readTransactions(text, parsed.statements, at);
  shape.problems.push(...problems);
  shape.notices.push(...notices);
  for (const { from, to } of control) shape.source = blank(shape.source, from, to);
  shape.statements = parts.flatMap(({ statements }) => statements);
  shape.transactions = Math.max(1, parts.length);
  const timed = /statement_timeout/i.test(text) ? timedGroups(shape.statements) : undefined;
  if (timed) shape.timed = timed;
  chooseMode(shape, { parts, control, at, stands });
  if (shape.statements.length === 0)
    shape.remarks.push({
      kind: 'empty',
      file,
      problem: {
        message: `${file} holds no statement: it is recorded, and nothing is run`,
        at: { file, line: 1, column: 1 },
      },
    });
  return withSize(shape);
}

function withSize(shape: FileShape): FileShape {
  if (shape.mode === 'together' && Buffer.byteLength(shape.source) > LARGEST_TOGETHER) {
    shape.mode = 'explicit';
    shape.why = 'it is larger than 8 MiB';
  }
  return shape;
}

/** The data lines after COPY FROM STDIN are no SQL, so the parser stops right behind it. */
function copyFromStdin(source: string, parsed: ParsedSql, parse: Parse): number | undefined {
  if (!parsed.wrong) return undefined;
  const before = source.lastIndexOf(';', parsed.wrong.index);
  if (before === -1) return undefined;
  const statements = parse(source.slice(0, before + 1)).statements;
  const last = statements?.[statements.length - 1];
  return last?.kind === 'CopyStmt' && isStandardStream(last.node) ? last.from : undefined;
}

function isStandardStream(copy: Record<string, unknown>): boolean {
  return copy.filename === undefined && copy.is_program !== true;
}

function refuseCopy(shape: FileShape, at: SourcePosition): void {
  shape.problems.push({
    message: 'COPY FROM STDIN needs a client that sends the data',
    at,
    next: 'Write the rows as INSERT (pg_dump --inserts does).',
  });
}

function checkCopy(shape: FileShape, statement: Statement, at: SourcePosition): void {
  if (!isStandardStream(statement.node)) return;
  if (statement.node.is_from === true) refuseCopy(shape, at);
  else
    shape.problems.push({
      message: 'COPY TO STDOUT would print rows into the log',
      at,
      next: 'Remove the statement.',
    });
}

interface Cut {
  parts: readonly FilePart[];
  control: readonly Statement[];
  at: (index: number) => SourcePosition;
  stands: number | undefined;
}

function chooseMode(shape: FileShape, cut: Cut): void {
  const statements = shape.statements ?? [];
  const why = whyInParts(cut);
  if (why !== undefined) {
    shape.mode = 'outside';
    shape.why = why;
    shape.segments = cutIntoSegments(shape, cut);
    shape.standing = shape.segments.filter(({ end }) => end <= (cut.stands ?? 0)).length;
    const { wrong, lost } = carryOver(shape.segments);
    for (const { index, message, next } of wrong) shape.problems.push({ message, at: cut.at(index), next });
    shape.sessionBound = lost.map(({ index, message, next, made, used }) => ({
      problem: { message, at: cut.at(index), next },
      made,
      used,
    }));
    for (const segment of shape.timed ? shape.segments : [])
      segment.timed = [...segment.sessionSetup, ...segment.statements].some(
        (each) => ownTimeout(each) !== undefined,
      );
    tellParts(shape, cut);
    return;
  }
  if (cut.control.length > 0 && shape.problems.length === 0)
    shape.remarks.push({
      kind: 'own-transaction',
      file: cut.at(0).file,
      problem: {
        message: 'its own BEGIN and COMMIT are left out: the file is one transaction anyway',
        at: cut.at(cut.control[0]!.from),
      },
    });
  const explicit = statements.flatMap((statement) => whyExplicit(statement) ?? []);
  if (explicit.length > 0) {
    shape.mode = 'explicit';
    shape.why = explicit[0]!;
  }
}

/** Why a file is not one transaction among others; undefined where it is. */
function whyInParts({ parts, stands }: Cut): string | undefined {
  const lone = parts.flatMap(({ statements }) =>
    statements.flatMap((each) => whyNonTransactional(each) ?? []),
  );
  if (lone.length > 0) return `${lone[0]} cannot run in a transaction`;
  if (parts.length > 1) return 'its own COMMITs commit it in parts';
  const isolation = parts.find((part) => part.isolation !== undefined)?.isolation;
  if (isolation !== undefined) return `it asks for isolation level ${isolation}`;
  return stands === undefined ? undefined : 'it was begun in parts';
}

/** What cannot run in a transaction alone, the rest of each part together; never across what stands already. */
function cutIntoSegments({ source }: FileShape, { parts, stands = 0 }: Cut): Segment[] {
  return parts.flatMap(({ statements, end, isolation }) => {
    const segments: Segment[] = [];
    for (const statement of statements) {
      const last = segments[segments.length - 1];
      const alone = whyNonTransactional(statement) !== undefined;
      const apart = alone || !last || last.alone || (last.end <= stands && statement.from >= stands);
      if (apart)
        segments.push({
          alone,
          explicit: false,
          timed: false,
          statements: [statement],
          sessionSetup: [],
          end: statement.to,
          ...(isolation === undefined || alone ? {} : { isolation }),
        });
      else {
        last.statements.push(statement);
        last.end = statement.to;
      }
    }
    for (const segment of segments) {
      const text = source.slice(segment.statements[0]!.from, segment.end);
      segment.explicit =
        segment.statements.some((each) => whyExplicit(each) !== undefined) ||
        (!segment.alone && Buffer.byteLength(text) > LARGEST_TOGETHER);
    }
    segments[segments.length - 1]!.end = end;
    return segments;
  });
}

/** Says that the run is not all or nothing, and where the file is cut. */
function tellParts(shape: FileShape, { parts, control, at }: Cut): void {
  const lone = (shape.statements ?? []).find((statement) => whyNonTransactional(statement) !== undefined);
  if (lone && shape.segments.length > 1)
    shape.notices.push({
      message: `${whyNonTransactional(lone)} cannot run in a transaction: what stands before and after it in the file is committed on its own`,
      at: at(lone.from),
      next: 'A file of its own for this statement keeps the rest of the file all or nothing.',
    });
  if (parts.length > 1) {
    const commits = parts.slice(0, -1).map(({ end }) => control.find(({ to }) => to === end)?.from ?? end);
    const lines = commits.map((index) => at(index).line);
    shape.notices.push({
      message: `its own ${lines.length === 1 ? 'COMMIT in line' : 'COMMITs in lines'} ${shortenList(lines.map(String), 10)} ${lines.length === 1 ? 'commits' : 'commit'} it in ${parts.length} parts, as in psql: this deploy is not all or nothing`,
      at: at(commits[0]!),
      next: 'A failure behind a COMMIT keeps what stands before it, and the next run goes on there.',
    });
  }
}

/** What a DO block cannot hold, so that the statement stands in the message itself. */
function whyExplicit({ kind, node }: Statement): string | undefined {
  if (kind === 'TransactionStmt') return 'it uses SAVEPOINT';
  return kind === 'SelectStmt' && hasInto(node) ? 'it uses SELECT INTO' : undefined;
}

/** In a UNION the INTO stands in its first SELECT. */
function hasInto({ intoClause, larg }: Node): boolean {
  return intoClause !== undefined || (larg !== undefined && hasInto(larg as Node));
}
