import { CODES } from '../history/error-codes.js';
import { afterToken, skipBlanks } from '../sql/sql-lexer.js';
import { dollarQuote } from '../sql/sql-text.js';

/**
 * SQL: one hash of all that makes an index what it is, but for its name, its table and its place on the disk. Of the
 * rows `i` of pg_index, `c` of pg_class and `am` of pg_am, with an empty search_path, so that names in it are whole.
 */
export const INDEX_SHAPE = `md5(jsonb_build_array(am.amname, i.indisunique, to_jsonb(i) -> 'indnullsnotdistinct', i.indnkeyatts,
    i.indclass::text, i.indcollation::text, i.indoption::text,
    (select jsonb_agg(pg_get_indexdef(i.indexrelid, n, false) order by n) from generate_series(1, i.indnatts) n),
    (select jsonb_agg(to_jsonb(a.attoptions) order by a.attnum) from pg_attribute a where a.attrelid = i.indexrelid),
    pg_get_expr(i.indpred, i.indrelid), to_jsonb(c.reloptions))::text)`;

/**
 * PL/pgSQL that finds out, in the variable `muva_shape`, what a CREATE INDEX on the relation in `muva_relation` makes:
 * it is made on an empty copy of that relation, of the same name because a condition may name it, and undone. Null
 * where the role may not do that, or the statement is wrong.
 */
export function indexAsWritten(text: string, unique: boolean): string {
  const rest = restOfIndex(text);
  if (rest === undefined) return '';
  return `begin
    execute (select format('create temporary table %I (like %s)', relname, oid::regclass) from pg_class where oid = muva_relation);
    execute (select format('create ${unique ? 'unique ' : ''}index muva_as_written on pg_temp.%I ', relname) from pg_class where oid = muva_relation)
      || ${dollarQuote(rest)};
    perform set_config('search_path', '', true);
    select ${INDEX_SHAPE} into muva_shape
      from pg_index i join pg_class c on c.oid = i.indexrelid join pg_am am on am.oid = c.relam
      where c.relname = 'muva_as_written' and c.relnamespace = pg_my_temp_schema();
    raise exception using errcode = '${CODES.undone}';
  exception when others then null;
  end;`;
}

/** What stands behind the table's name in a CREATE INDEX. */
function restOfIndex(text: string): string | undefined {
  let index = skipBlanks(text, 0);
  const next = (): string => {
    const from = index;
    const end = afterToken(text, from);
    index = skipBlanks(text, end);
    return text.slice(from, end);
  };
  const peek = (): string => text.slice(index, afterToken(text, index)).toLowerCase();
  // ON is a reserved word: without quotes it is no name.
  while (index < text.length && next().toLowerCase() !== 'on');
  if (index < text.length && peek() === 'only') next();
  if (index < text.length) next();
  while (text[index] === '.') {
    next();
    if (index < text.length) next();
  }
  if (text[index] === '*') next();
  return index < text.length ? text.slice(index) : undefined;
}
