import type { StatementNode } from '../lint/known-objects.js';
import { isUnread, type RunText } from '../lint/run-statements.js';
import { calledFunctions } from '../lint/volatile-functions.js';

/** What reaches beyond the scratch database: it would stay there when all else is undone, or be sent to others. */
const KINDS: readonly [why: string, kinds: RegExp][] = [
  [
    'it concerns roles',
    /^(?:CreateRole|AlterRole|AlterRoleSet|DropRole|GrantRole|DropOwned|ReassignOwned)Stmt$/,
  ],
  [
    'it concerns whole databases',
    /^(?:Createdb|Dropdb|AlterDatabase|AlterDatabaseSet|AlterDatabaseRefreshColl)Stmt$/,
  ],
  [
    'it concerns tablespaces',
    /^(?:CreateTableSpace|DropTableSpace|AlterTableSpaceOptions|AlterTableMoveAll)Stmt$/,
  ],
  ["it concerns the server's settings", /^(?:AlterSystem|Load|CheckPoint)Stmt$/],
  ['it concerns subscriptions', /^(?:Create|Alter|Drop)SubscriptionStmt$/],
  ['it asks another server', /^ImportForeignSchemaStmt$/],
];

const OBJECTS: readonly [why: string, types: RegExp][] = [
  ['it concerns roles', /^OBJECT_ROLE$/],
  ['it concerns whole databases', /^OBJECT_DATABASE$/],
  ['it concerns tablespaces', /^OBJECT_TABLESPACE$/],
  ['it concerns subscriptions', /^OBJECT_SUBSCRIPTION$/],
  ["it concerns the server's settings", /^OBJECT_PARAMETER_ACL$/],
];

/** Why a statement is not run on a scratch database, by all that it runs; undefined where it is. */
export function whyNotRun(texts: readonly RunText[]): string | undefined {
  for (const text of texts) {
    const why = isUnread(text) ? undefined : whyNot(text);
    if (why !== undefined) return why;
  }
  return undefined;
}

function whyNot({ kind, node }: StatementNode): string | undefined {
  const ofKind = KINDS.find(([, kinds]) => kinds.test(kind));
  if (ofKind) return ofKind[0];
  const type = String(node.renameType ?? node.objectType ?? node.objtype ?? node.removeType);
  const ofObject = OBJECTS.find(([, types]) => types.test(type));
  if (ofObject) return ofObject[0];
  if (kind === 'CopyStmt' && (node.filename !== undefined || node.is_program === true))
    return "it reads or writes files of the server's machine";
  return calledFunctions(node)
    .map(reachesOut)
    .find((why) => why !== undefined);
}

function reachesOut(name: readonly string[]): string | undefined {
  const [own = '', schema = ''] = [...name].reverse();
  if (own.startsWith('dblink')) return 'it asks another server (dblink)';
  if (schema === 'net' || own === 'http_request') return 'it asks another server (net)';
  if (schema === 'cron') return 'it gives jobs to cron';
  return undefined;
}

/** Statements that change a setting of the session alone: there is nothing to measure of them. */
export function changesSession({ kind, node }: StatementNode): boolean {
  if (
    /^(?:VariableSet|VariableShow|Discard|Notify|Listen|Unlisten|Deallocate|ConstraintsSet)Stmt$/.test(kind)
  )
    return true;
  return (
    kind === 'SelectStmt' &&
    node.fromClause === undefined &&
    calledFunctions(node).every((name) => name.at(-1) === 'set_config')
  );
}
