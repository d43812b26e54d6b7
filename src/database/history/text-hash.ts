import { createHash } from 'node:crypto';

/**
 * White space and semicolons, by which versions of the CLI split differently, do not count; but the end of a comment to
 * the end of the line does, or a statement that such a comment has swallowed would go unseen. The same in SQL and here.
 */
const COMMENT_END = /(--[^\r\n]*)[\r\n]+/g;
const COMMENT_END_SQL = "E'(--[^\\\\r\\\\n]*)[\\\\r\\\\n]+', E'\\\\1\\x01', 'g'";
const IGNORED = /[ \t\r\n\f\v;]+/g;
const IGNORED_SQL = "E' \\t\\r\\n\\f\\013;'";

/** The hash under which a file's text is compared with what any tool has recorded for it. */
export function textHash(source: string): string {
  const marked = `${source}\n`.replaceAll(COMMENT_END, '$1\u0001');
  return createHash('md5').update(marked.replaceAll(IGNORED, '')).digest('hex');
}

/** The same hash in SQL, of an expression that gives text. */
export function textHashSql(text: string): string {
  const marked = `pg_catalog.regexp_replace(${text} || E'\\n', ${COMMENT_END_SQL})`;
  return `pg_catalog.md5(pg_catalog.translate(${marked}, ${IGNORED_SQL}, ''))`;
}
