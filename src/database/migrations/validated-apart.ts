import type { Node } from '../sql/parse-tree.js';
import type { FileShape } from './file-shape.js';

/** A constraint, by table and name. */
type Constraint = string;

/** The constraints that a file adds without looking at the rows that are there, and those that it has looked at. */
export function constraintsOf({ statements = [] }: Pick<FileShape, 'statements'>): {
  notValid: Constraint[];
  validated: Constraint[];
} {
  const notValid: Constraint[] = [];
  const validated: Constraint[] = [];
  for (const { kind, node } of statements) {
    if (kind !== 'AlterTableStmt') continue;
    const table = String((node.relation as Node | undefined)?.relname);
    for (const { AlterTableCmd: command } of (node.cmds as { AlterTableCmd?: Node }[] | undefined) ?? []) {
      const { Constraint: added } = (command?.def ?? {}) as { Constraint?: Node };
      if (command?.subtype === 'AT_AddConstraint' && added?.skip_validation === true)
        notValid.push(`${table}.${String(added.conname)}`);
      if (command?.subtype === 'AT_ValidateConstraint') validated.push(`${table}.${String(command.name)}`);
    }
  }
  return { notValid, validated };
}
