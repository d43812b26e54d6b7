import { formatBytes } from '../../lib/bytes.js';
import type { SourcePosition } from '../../lib/report.js';
import type { Parse, ParsedSql, Statement } from '../sql/parser.js';
import { blank, oneLine, positionIn } from '../sql/source-text.js';
import type { FileShape, Segment } from './file-shape.js';
import { whyNonTransactional } from './non-transactional.js';
import { psqlCommands } from './psql-commands.js';
import { carryOver } from './session-state.js';

/** Above this size the one-statement form takes too much of the server's memory (about 30 times the file). */
const LARGEST_TOGETHER = 8 * 1024 * 1024;

/**
 * Finds out how a file must be run, and all that speaks against running it. Reads nothing but the text. `stands`: the
 * UTF-16 index behind what of it is committed already, where it was begun in parts.
 */
export function classify(file: string, text: string, parse: Parse, stands?: number): FileShape {
  const shape: FileShape = {
    mode: 'together',
    source: text,
    segments: [],
    standing: 0,
    notices: [],
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
  const parsed = parse(shape.source);
  if ('tooLarge' in parsed) {
    shape.problems.push({
      message: `${file} is too large to be parsed (${formatBytes(Buffer.byteLength(text))})`,
      at: { file, line: 1, column: 1 },
      next: 'Split it into files of at most 16 MB. Rows that are no part of the schema are better loaded by a job of their own.',
    });
    return shape;
  }
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
  for (const statement of parsed.statements)
    if (statement.kind === 'CopyStmt') checkCopy(shape, statement, at(statement.from));
  takeOutTransactions(shape, at);
  chooseMode(shape, at, stands);
  if (shape.statements.length === 0)
    shape.notices.push({
      message: `${file} holds no statement: it is recorded, and nothing is run`,
      at: { file, line: 1, column: 1 },
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

const SAVEPOINTS = new Set(['TRANS_STMT_SAVEPOINT', 'TRANS_STMT_RELEASE', 'TRANS_STMT_ROLLBACK_TO']);

/**
 * A file's own BEGIN and COMMIT are blanked where they come in pairs: the whole file is one transaction anyway.
 * Any other transaction control would commit or undo a part behind our back, and is refused.
 */
function takeOutTransactions(shape: FileShape, at: (index: number) => SourcePosition): void {
  const kept: Statement[] = [];
  let open: Statement | undefined;
  let pairs = 0;
  const refuse = (statement: Statement, message: string, next: string): void => {
    shape.problems.push({ message, at: at(statement.from), next });
  };
  const drop = (statement: Statement): void => {
    shape.source = blank(shape.source, statement.from, statement.to);
  };
  for (const statement of shape.statements ?? []) {
    if (statement.kind !== 'TransactionStmt') {
      kept.push(statement);
      continue;
    }
    const kind = String(statement.node.kind);
    if (SAVEPOINTS.has(kind)) kept.push(statement);
    else if (kind === 'TRANS_STMT_BEGIN' || kind === 'TRANS_STMT_START') {
      if (open)
        refuse(statement, 'BEGIN inside a transaction', 'Remove it: each file is one transaction anyway.');
      open = statement;
      drop(statement);
    } else if (kind === 'TRANS_STMT_COMMIT' && statement.node.chain !== true && open) {
      open = undefined;
      pairs++;
      drop(statement);
    } else
      refuse(
        statement,
        `${oneLine(shape.source.slice(statement.from, statement.to)).toUpperCase()} would end the transaction in the middle of the file`,
        'Remove it: each file is one transaction, and is applied fully or not at all.',
      );
  }
  if (open)
    refuse(
      open,
      'BEGIN without COMMIT',
      'Remove it, or add COMMIT at the end: each file is one transaction anyway.',
    );
  if (pairs > 0 && shape.problems.length === 0)
    shape.notices.push({
      message: `its own BEGIN and COMMIT ${pairs > 1 ? `(${pairs} pairs) ` : ''}are left out: the file is one transaction anyway`,
      at: at(shape.statements?.[0]?.from ?? 0),
    });
  shape.statements = kept;
}

function chooseMode(shape: FileShape, at: (index: number) => SourcePosition, stands?: number): void {
  const statements = shape.statements ?? [];
  const lone = statements.filter((statement) => whyNonTransactional(statement) !== undefined);
  if (lone.length > 0 || stands !== undefined) {
    shape.mode = 'outside';
    shape.segments = cutIntoSegments(statements, stands);
    shape.standing = shape.segments.filter(({ end }) => end <= (stands ?? 0)).length;
    shape.why =
      lone.length > 0
        ? `${whyNonTransactional(lone[0]!)} cannot run in a transaction`
        : 'it was begun in parts';
    for (const { index, message, next } of carryOver(shape.segments))
      shape.problems.push({ message, at: at(index), next });
    if (lone.length > 0 && shape.segments.length > 1)
      shape.notices.push({
        message: `${shape.why}: what stands before and after it in the file is committed on its own`,
        at: at(lone[0]!.from),
        next: 'A file of its own for this statement keeps the rest of the file all or nothing.',
      });
    return;
  }
  if (statements.some((statement) => statement.kind === 'TransactionStmt')) {
    shape.mode = 'explicit';
    shape.why = 'it uses SAVEPOINT';
  } else if (statements.some((statement) => statement.node.intoClause !== undefined)) {
    shape.mode = 'explicit';
    shape.why = 'it uses SELECT INTO';
  }
  if (
    statements.some(
      (statement) =>
        statement.kind === 'AlterEnumStmt' &&
        statement.node.newVal !== undefined &&
        statement.node.oldVal === undefined,
    )
  )
    shape.endsBatch = 'a value added to an enum can be used only after the commit';
}

/** What cannot run in a transaction alone, the rest between together; never across what stands already. */
function cutIntoSegments(statements: readonly Statement[], stands = 0): Segment[] {
  const segments: Segment[] = [];
  for (const statement of statements) {
    const last = segments[segments.length - 1];
    const alone = whyNonTransactional(statement) !== undefined;
    const apart = alone || !last || last.alone || (last.end <= stands && statement.from >= stands);
    if (apart) segments.push({ alone, statements: [statement], sessionSetup: [], end: statement.to });
    else {
      last.statements.push(statement);
      last.end = statement.to;
    }
  }
  return segments;
}
