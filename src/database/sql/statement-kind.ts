import { afterToken, skipBlanks } from './sql-lexer.js';

/** Words that say what a statement does, and can be no name or value where they stand. */
const VERBS = new Set(
  `ALTER ANALYZE CALL CLUSTER COMMENT COMMIT COPY CREATE DELETE DO DROP EXECUTE GRANT INSERT LOCK MERGE NOTIFY PREPARE
  REFRESH REINDEX RESET REVOKE ROLLBACK SECURITY SELECT SET TRUNCATE UPDATE VACUUM VALUES WITH BEGIN`.split(
    /\s+/,
  ),
);
/** Behind CREATE, ALTER and DROP: what kind of object it is, with the words that may stand before. */
const OBJECTS = new Set(
  `ACCESS AGGREGATE CAST COLLATION CONVERSION DATABASE DEFAULT DOMAIN EVENT EXTENSION FOREIGN FUNCTION GLOBAL INDEX
  LANGUAGE LOCAL MATERIALIZED OPERATOR POLICY PRIVILEGES PROCEDURE PUBLICATION RECURSIVE ROLE ROUTINE RULE SCHEMA
  SEQUENCE SERVER STATISTICS SUBSCRIPTION SYSTEM TABLE TABLESPACE TEMP TEMPORARY TRIGGER TYPE UNIQUE UNLOGGED USER VIEW
  WRAPPER`.split(/\s+/),
);

/**
 * The kind of a statement in its own first words, such as CREATE UNIQUE INDEX; undefined where they are none that is
 * known. Holds nothing else of its text, so that it may be told where the text may not.
 */
export function statementKind(text: string): string | undefined {
  const words: string[] = [];
  for (let index = skipBlanks(text, 0); index < text.length; ) {
    const next = afterToken(text, index);
    const word = text.slice(index, next).toUpperCase();
    if (words.length === 0) {
      if (!VERBS.has(word)) return undefined;
      words.push(word);
      if (!/^(CREATE|ALTER|DROP)$/.test(word)) break;
    } else if (OBJECTS.has(word)) words.push(word);
    // CREATE OR REPLACE is the same kind.
    else if (!(words.length === 1 && (word === 'OR' || word === 'REPLACE'))) break;
    index = skipBlanks(text, next);
  }
  return words.join(' ') || undefined;
}
