/** What PostgreSQL and PostgREST say of a table or column that is not there. */
const MISSING =
  /\b(42P01|42703|PGRST20[0-5])\b|relation "[^"]*" does not exist|column "?[^\s"]+"? (of relation "[^"]*" )?does not exist|Could not find the (table|column|'[^']*' column)/i;

/** True where a program's output tells of a table or column that the database does not have. */
export function tellsOfMissing(text: string): boolean {
  return MISSING.test(text);
}
