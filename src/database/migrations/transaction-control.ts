import type { Problem, SourcePosition } from '../../lib/report.js';
import { constantText, type Node } from '../sql/parse-tree.js';
import type { Statement } from '../sql/parser.js';
import { oneLine } from '../sql/source-text.js';

/** What of a file is committed together, as its own COMMITs have it. */
export interface FilePart {
  statements: Statement[];
  /** UTF-16 index behind the COMMIT that ends it, or behind its last statement. */
  end: number;
  /** The isolation level that it asks for, such as `serializable`. */
  isolation?: string;
}

export interface TransactionControl {
  parts: FilePart[];
  /** Its BEGINs and COMMITs, and settings of a transaction that each part is given anew: not to be sent. */
  control: Statement[];
  notices: Problem[];
  problems: Problem[];
}

const SAVEPOINTS = new Set(['TRANS_STMT_SAVEPOINT', 'TRANS_STMT_RELEASE', 'TRANS_STMT_ROLLBACK_TO']);
const BEGINS = new Set(['TRANS_STMT_BEGIN', 'TRANS_STMT_START']);

/**
 * Reads a file's own transactions as psql and the Supabase CLI do: a COMMIT commits what stands before it, with or
 * without a BEGIN, and what stands between two pairs belongs to the second, as in the CLI, which sends a file as one
 * message. What would undo a part, or leave it open, is a problem.
 */
export function readTransactions(
  source: string,
  statements: readonly Statement[],
  at: (index: number) => SourcePosition,
): TransactionControl {
  const found: TransactionControl = { parts: [], control: [], notices: [], problems: [] };
  let part: FilePart = { statements: [], end: 0 };
  let open: Statement | undefined;
  const warn = (statement: Statement, message: string, next: string): void => {
    found.notices.push({ message, at: at(statement.from), next });
  };
  const refuse = (statement: Statement, message: string, next: string): void => {
    found.problems.push({ message, at: at(statement.from), next });
  };
  for (const statement of statements) {
    const kind = statement.kind === 'TransactionStmt' ? String(statement.node.kind) : '';
    const isolation = isolationOf(statement);
    if (BEGINS.has(kind) || isolation !== undefined) {
      found.control.push(statement);
      if (BEGINS.has(kind) && open) warn(statement, 'BEGIN inside a transaction does nothing', 'Remove it.');
      else if (isolation !== undefined && !part.statements.every(isSetting))
        refuse(
          statement,
          'the isolation level is set behind the first statement of its transaction',
          'PostgreSQL allows that only before any query: put it, or a COMMIT before it.',
        );
      else if (isolation !== undefined) part.isolation = isolation;
      if (BEGINS.has(kind)) open ??= statement;
    } else if (kind === 'TRANS_STMT_COMMIT' && statement.node.chain !== true) {
      found.control.push(statement);
      if (!open)
        warn(
          statement,
          'COMMIT without BEGIN commits what stands before it in the file',
          'Where that is not meant, remove it.',
        );
      open = undefined;
      // Where nothing stands before it, there is nothing to commit.
      if (part.statements.length > 0) found.parts.push({ ...part, end: statement.to });
      part = { statements: [], end: 0 };
    } else if (kind === '' || SAVEPOINTS.has(kind)) {
      part.statements.push(statement);
      part.end = statement.to;
    } else {
      const [words = ''] = oneLine(source.slice(statement.from, statement.to)).split("'");
      refuse(
        statement,
        `${words.trim().toUpperCase()} would end the transaction in the middle of the file`,
        'Remove it: what a file does is committed, by its own COMMITs or at its end.',
      );
      // It does end what was begun; only COMMIT AND CHAIN begins another.
      if (statement.node.chain !== true) open = undefined;
    }
  }
  if (open)
    refuse(open, 'BEGIN without COMMIT', 'Remove it, or add the COMMIT: nothing ends that transaction.');
  if (part.statements.length > 0) found.parts.push(part);
  return found;
}

/** The level that a BEGIN, START TRANSACTION or SET TRANSACTION asks for. */
function isolationOf({ kind, node }: Statement): string | undefined {
  const setsTransaction = kind === 'VariableSetStmt' && node.name === 'TRANSACTION';
  if (kind !== 'TransactionStmt' && !setsTransaction) return undefined;
  const options = ((setsTransaction ? node.args : node.options) ?? []) as { DefElem?: Node }[];
  const level = options.find(({ DefElem: option }) => option?.defname === 'transaction_isolation');
  return constantText(level?.DefElem?.arg);
}

/** Only settings may stand before the isolation level of a transaction. */
function isSetting({ kind }: Statement): boolean {
  return kind === 'VariableSetStmt';
}
