import { createHash } from 'node:crypto';

/** White space and semicolons, by which versions of the CLI split differently; the same set in SQL and here. */
const IGNORED = /[ \t\r\n\f\v;]+/g;
const IGNORED_SQL = "E' \\t\\r\\n\\f\\013;'";

/** The hash under which a file's text is compared with what any tool has recorded for it. */
export function textHash(source: string): string {
  return createHash('md5').update(source.replaceAll(IGNORED, '')).digest('hex');
}

/** The same hash in SQL, of an expression that gives text. */
export function textHashSql(text: string): string {
  return `pg_catalog.md5(pg_catalog.translate(${text}, ${IGNORED_SQL}, ''))`;
}
