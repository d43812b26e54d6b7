import { basename } from 'node:path';
import type { Problem } from '../../lib/report.js';
import { shortenList } from '../../lib/shorten-list.js';
import type { Database, SendOptions } from '../connection/connection.js';
import { jsonField } from '../connection/results.js';
import type { PlannedFile } from '../migrations/batches.js';
import { type LeftBehind, leftBehind, type MadeThing } from '../migrations/left-behind.js';
import { literal } from '../sql/sql-text.js';

/** What of a list of files seems to be in a database already, though its history does not say so. */
export interface AlreadyThere {
  /** The last of the files up to which all is there that they leave behind; undefined where that is none. */
  upTo?: number;
  /** By the files' indexes; a file that leaves nothing a catalog could be asked for is in none of them. */
  applied: number[];
  partly: number[];
  absent: number[];
}

/**
 * Asks whether what files would make is there already. Undefined where nothing of it is, or the database does not tell.
 */
export async function alreadyThere(
  database: Database,
  files: readonly Pick<PlannedFile, 'file' | 'version' | 'shape'>[],
  sending: SendOptions,
): Promise<Problem | undefined> {
  const left = leftBehind(files.map(({ shape }) => shape.statements));
  const asked = left.steps.flatMap(({ thing }) => thing ?? []);
  if (asked.length === 0) return undefined;
  // A hint and no more: where a schema may not be looked into, nothing is said.
  const answer = await database.send(askFor(asked), sending).catch(() => undefined);
  const there = answer && jsonField<(boolean | null)[]>(answer, 'there');
  if (!there?.some((each) => each)) return undefined;
  const known = new Map(asked.map((thing, index) => [thing, there[index] === true]));
  return hintOf(
    judgeThere(left, (thing) => known.get(thing) === true, files.length),
    files,
    left,
  );
}

const FIELDS = ['kind', 'name', 'on', 'type', 'modifiers', 'letters'] as const;

function askFor(things: readonly MadeThing[]): string {
  const rows = JSON.stringify(things.map((thing) => FIELDS.map((field) => thing[field] ?? null)));
  return `set local statement_timeout = '30s';
select coalesce(jsonb_agg(case r ->> 0
  when 'schema' then exists (select from pg_namespace where nspname = (r ->> 1)::name)
  when 'function' then to_regprocedure(r ->> 1) is not null
  when 'type' then exists (select from pg_type where oid = to_regtype(r ->> 1) and strpos(r ->> 5, typtype::text) > 0)
  when 'enum value' then exists (select from pg_enum where enumtypid = to_regtype(r ->> 2) and enumlabel = r ->> 1)
  when 'relation' then exists (select from pg_class where oid = to_regclass(r ->> 1) and strpos(r ->> 5, relkind::text) > 0)
  when 'column' then exists (select from pg_attribute where attrelid = to_regclass(r ->> 2) and attname = (r ->> 1)::name
    and attnum > 0 and not attisdropped and (r ->> 3 is null or atttypid = to_regtype(r ->> 3))
    and (r ->> 4 is null or r ->> 4 = substring(format_type(atttypid, atttypmod) from '[(]([^)]*)[)]')))
  when 'row security' then exists (select from pg_class where oid = to_regclass(r ->> 2) and relrowsecurity)
  when 'constraint' then exists (select from pg_constraint where conrelid = to_regclass(r ->> 2) and conname = (r ->> 1)::name)
  when 'trigger' then exists (select from pg_trigger where tgrelid = to_regclass(r ->> 2) and tgname = (r ->> 1)::name)
  when 'policy' then exists (select from pg_policy where polrelid = to_regclass(r ->> 2) and polname = (r ->> 1)::name)
  end order by n), '[]')::text as there
from jsonb_array_elements(${literal(rows)}::jsonb) with ordinality x(r, n)`;
}

/** From what the files do one after the other, and what of it is there. */
export function judgeThere(
  { steps }: Pick<LeftBehind, 'steps'>,
  isThere: (thing: MadeThing) => boolean,
  files: number,
): AlreadyThere {
  const standing = new Map<string, { thing: MadeThing; file: number }>();
  let lacking = 0;
  let upTo: number | undefined;
  let step = 0;
  for (let file = 0; file < files; file++) {
    const first = step;
    for (; steps[step]?.file === file; step++) {
      const { key, thing } = steps[step]!;
      const before = standing.get(key);
      if (before && !isThere(before.thing)) lacking--;
      if (thing && !isThere(thing)) lacking++;
      if (thing) standing.set(key, { thing, file });
      else standing.delete(key);
    }
    if (step > first && lacking === 0 && standing.size > 0) upTo = file;
  }
  const own = Array.from({ length: files }, () => ({ there: 0, lacking: 0 }));
  for (const { thing, file } of standing.values()) own[file]![isThere(thing) ? 'there' : 'lacking']++;
  const those = (fits: (each: { there: number; lacking: number }) => boolean): number[] =>
    own.flatMap((each, file) => (fits(each) ? [file] : []));
  return {
    ...(upTo === undefined ? {} : { upTo }),
    applied: those((each) => each.there > 0 && each.lacking === 0),
    partly: those((each) => each.there > 0 && each.lacking > 0),
    absent: those((each) => each.there === 0 && each.lacking > 0),
  };
}

/** Most files of each kind that are named. */
const MOST = 10;

function hintOf(
  { upTo, applied, partly, absent }: AlreadyThere,
  files: readonly Pick<PlannedFile, 'file' | 'version'>[],
  { unjudged }: LeftBehind,
): Problem | undefined {
  const nameOf = (index: number): string => basename(files[index]!.file);
  const named = (indexes: readonly number[]): string => shortenList(indexes.map(nameOf), MOST);
  const at = { file: files[upTo ?? applied[0] ?? partly[0] ?? 0]!.file, line: 1, column: 1 };
  if (upTo !== undefined) {
    const doubtful = [...unjudged].filter(([file]) => file <= upTo);
    const doubts = doubtful.map(([file, why]) => `${nameOf(file)} (${[...why].join(', ')})`);
    const later = [...applied, ...partly].filter((file) => file > upTo);
    return {
      message: `${upTo === 0 ? nameOf(0) : `${nameOf(0)} to ${nameOf(upTo)}`} looks applied, though the history does not say so: all that is left of what it makes is there${later.length > 0 ? `; so is some of ${named(later)}` : ''}`,
      at,
      next: `Where it was applied by hand, record it without running it, with this line: baseline: ${files[upTo]!.version}${doubts.length > 0 ? `. What a look cannot judge: ${shortenList(doubts, MOST)}` : ''}`,
    };
  }
  if (applied.length + partly.length === 0) return undefined;
  const parts = [
    applied.length > 0 ? `looks applied: ${named(applied)}` : '',
    partly.length > 0 ? `in part: ${named(partly)}` : '',
    absent.length > 0 ? `not: ${named(absent)}` : '',
  ];
  return {
    message: `some of what the pending files make is there already, though the history does not say so; ${parts.filter((part) => part !== '').join('; ')}`,
    at,
    next: 'No baseline fits. Compare by hand; make what is missing, then record what is there (supabase migration repair --status applied <version>), or write the files so that they may be run again.',
  };
}
