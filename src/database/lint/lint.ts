import type { SourcePosition } from '../../lib/report.js';
import type { PlannedFile } from '../migrations/batches.js';
import { droppedNames, nodesOf } from '../sql/parse-tree.js';
import { oneLine, positionIn } from '../sql/source-text.js';
import { statementKind } from '../sql/statement-kind.js';
import type { CatalogFacts, CatalogQuestion } from './catalog-facts.js';
import { ignoreComments } from './ignore-comments.js';
import { commandsOf, type KnownObjects, objectBook, type StatementNode } from './known-objects.js';
import { type Effect, LINT_RULES, type LintRule } from './rules.js';
import { isUnread, type RunText, runReader, type SqlParsers, type UnreadText } from './run-statements.js';
import { calledFunctions, usualVolatility } from './volatile-functions.js';

/** What is said of a statement that deletes data, or whose lock the application waits for. */
export interface LintFinding {
  /** The name of its rule. */
  rule: string;
  effect: Effect;
  /** As LintRule. */
  lock: string | undefined;
  /** What to write instead. */
  instead: string;
  at: SourcePosition;
  /** The statement in one short line, with the function that holds it. */
  statement: string;
  /** The version of its file, and where the statement of the file itself starts: what it is measured by. */
  version: string;
  from: number;
  /** Its file waits until health has passed, by its own marker or that of a file before it. */
  waits: boolean;
}

export interface LintResult {
  /** What deletes data first, then what cannot be read, then the rest; each in the order of the files. */
  findings: LintFinding[];
  /** The same of what its author says is meant. */
  ignored: LintFinding[];
  /** What a catalog would have to be asked for to be sure; empty where the files alone tell. */
  question: CatalogQuestion;
}

/** It deletes or changes data. */
export function isDestructive({ effect }: Pick<LintFinding, 'effect'>): boolean {
  return effect === 'deletes' || effect === 'changes';
}

/** The same, or it cannot be told whether it does. */
export function isRisky(finding: Pick<LintFinding, 'effect'>): boolean {
  return isDestructive(finding) || finding.effect === 'unknown';
}

/** The rule of what cannot be read. */
export const UNREAD = 'unread-execute';

/**
 * Finds destructive and locking statements in files that are to be applied, also inside DO blocks, functions that they
 * call, and constant EXECUTE. What the same files create first holds no data and nobody waits for it, so it is left out.
 */
export function lintFiles(
  files: readonly PlannedFile[],
  parsers: SqlParsers,
  facts?: CatalogFacts,
): LintResult {
  const book = objectBook(facts);
  const reader = runReader(parsers, facts);
  const findings: LintFinding[] = [];
  const meant: LintFinding[] = [];
  const named = new Set<string>();
  let waits = false;
  for (const file of files) {
    waits ||= file.afterHealth;
    const statements = file.shape.statements ?? [];
    const ignored = ignoreComments(file.source, statements);
    book.beginFile(statements);
    for (const statement of statements) {
      const told = new Set<string>();
      const isIgnored = ignored(statement);
      const tell = (
        text: RunText,
        found: Pick<LintFinding, 'rule' | 'effect' | 'lock' | 'instead'>,
      ): void => {
        const at = positionIn(file.file, file.source, text.index);
        const key = `${found.rule} ${text.index} ${text.inside ?? ''}`;
        if (told.has(key)) return;
        told.add(key);
        const { version } = file;
        (isIgnored(found.rule) ? meant : findings).push({
          ...found,
          at,
          statement: shown(text),
          version,
          from: statement.from,
          waits,
        });
      };
      for (const text of reader.read(statement, file.shape.source)) {
        if (isUnread(text)) {
          tell(text, unread(text));
          continue;
        }
        for (const rule of LINT_RULES)
          if (rule.when(text, book)) tell(text, { ...said(rule, text, book), effect: rule.effect });
        for (const name of relationNames(text)) named.add(name);
        book.follow(text, text.surely);
      }
    }
    book.endFile();
  }
  const functions = new Set([...reader.asked, ...files.flatMap(defaultsOf)]);
  const unsure = [...functions].filter((name) => usualVolatility(name) === undefined);
  const asks = findings.length + meant.length + unsure.length > 0 || files.some(holdsConcurrently);
  return {
    findings: findings.sort((one, other) => rank(one) - rank(other)),
    ignored: meant,
    question: asks ? { relations: [...named], functions: unsure } : { relations: [], functions: [] },
  };
}

const RANKS: readonly Effect[] = ['deletes', 'changes', 'unknown', 'rewrites', 'locks', 'briefly'];

function rank({ effect }: LintFinding): number {
  return RANKS.indexOf(effect);
}

function said(
  { name, lock, advice, partitioned }: LintRule,
  { node }: StatementNode,
  known: KnownObjects,
): Pick<LintFinding, 'rule' | 'lock' | 'instead'> {
  const instead = partitioned !== undefined && known.isPartitioned(node.relation) ? partitioned : advice;
  return { rule: name, lock, instead };
}

function unread({ why }: UnreadText): Pick<LintFinding, 'rule' | 'effect' | 'lock' | 'instead'> {
  return {
    rule: UNREAD,
    effect: 'unknown',
    lock: undefined,
    instead:
      why === 'not constant'
        ? 'Write the statement out, or EXECUTE a constant text: then it is looked at like every other one.'
        : 'The body cannot be parsed: write its statements into the file itself.',
  };
}

/** What a body of the database holds is not shown: it may have been taken out of a file since. */
function shown({ text, inside, unseen }: RunText): string {
  const statement = unseen ? (statementKind(text) ?? 'a statement') : oneLine(text);
  return inside === undefined ? statement : `${statement}, run by ${inside}()`;
}

/** The relations that a statement names, by their names alone. */
function relationNames({ kind, node }: StatementNode): string[] {
  // What only reads or keeps names is asked for by nobody.
  if (
    !/^(?:Alter|Drop|Truncate|Delete|Update|Merge|Index|Rename|RefreshMatView|Cluster|Reindex|Lock|Create)/.test(
      kind,
    )
  )
    return [];
  // A schema, a function or a type is named in another way.
  if (kind === 'DropStmt')
    return droppedNames(node).flatMap(
      (parts) => (node.removeType === 'OBJECT_POLICY' ? parts.at(-2) : parts.at(-1)) ?? [],
    );
  return [...nodesOf(node)].flatMap(({ relname }) => (relname === undefined ? [] : String(relname)));
}

/** The functions that the defaults of new columns call. */
function defaultsOf({ shape }: PlannedFile): string[] {
  return (shape.statements ?? []).flatMap(({ kind, node }) =>
    kind !== 'AlterTableStmt'
      ? []
      : commandsOf(node).flatMap(({ subtype, def }) =>
          subtype === 'AT_AddColumn' ? calledFunctions(def).map((parts) => parts.at(-1) ?? '') : [],
        ),
  );
}

/** What a partitioned table refuses where another one takes it. */
function holdsConcurrently({ shape }: PlannedFile): boolean {
  return (shape.statements ?? []).some(({ node }) => node.concurrent === true);
}
