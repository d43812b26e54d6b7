import { constantText } from '../sql/parse-tree.js';
import type { Statement } from '../sql/parser.js';
import { identifier, literal } from '../sql/sql-text.js';

/*
 * A temporary login works as another role, and is to be no other than a login of that role: what is set for the role
 * applies, which SET ROLE does not bring, and a file that resets its role comes back to it, not to the login.
 */

/** SQL that makes the session of a temporary login one of the role, with what is set for it. */
export function actAs(role: string): string {
  return `set role ${identifier(role)}; ${roleSettings(role, false)}`;
}

/** SQL to be run behind a statement of a file that would leave the role, or what is set for it; empty behind any other. */
export function actAsAgain({ kind, node }: Partial<Statement>, role: string | undefined): string {
  if (role === undefined || !node) return '';
  // Of what a program does nothing can be read; while it runs on, it is the login.
  if (kind === 'DoStmt' || kind === 'CallStmt' || kind === 'SelectStmt')
    return `select pg_catalog.set_config('role', ${literal(role)}, false) where pg_catalog.current_setting('role') = 'none';`;
  if (kind !== 'VariableSetStmt') return '';
  const local = node.is_local === true;
  if (node.kind === 'VAR_RESET_ALL') return roleSettings(role, false);
  const [value] = (node.args as unknown[] | undefined) ?? [];
  const none = node.name === 'role' && constantText(value) === 'none';
  if (node.kind !== 'VAR_RESET' && node.kind !== 'VAR_SET_DEFAULT' && !none) return '';
  if (node.name === 'role' || node.name === 'session_authorization')
    return `set ${local ? 'local ' : ''}role ${identifier(role)};`;
  return roleSettings(role, local, String(node.name));
}

/**
 * Sets what ALTER ROLE has set for the role, here or everywhere, as far as it may set that itself: a login is given the
 * rest by the server. `only`: the one setting.
 */
function roleSettings(role: string, local: boolean, only?: string): string {
  return `select pg_catalog.set_config(s.name, s.value, ${local}) from (
    select distinct on (name) name, pg_catalog.substr(item, pg_catalog.strpos(item, '=') + 1) as value
    from pg_catalog.pg_db_role_setting r, pg_catalog.unnest(r.setconfig) item, pg_catalog.split_part(item, '=', 1) name
    where r.setrole = (select oid from pg_catalog.pg_roles where rolname = ${literal(role)})
      and r.setdatabase in (0, (select oid from pg_catalog.pg_database where datname = pg_catalog.current_database()))
      and name <> 'role'${only === undefined ? '' : ` and pg_catalog.lower(name) = ${literal(only.toLowerCase())}`}
    order by name, r.setdatabase desc) s
  left join pg_catalog.pg_settings g on g.name = s.name
  where g.context = 'user' or (g.name is null and s.name like '%.%');`;
}
