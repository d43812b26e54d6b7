import { shortenList } from '../../lib/shorten-list.js';
import type { StatementResult } from '../connection/connection.js';
import { LOCK_MODES } from '../migrations/lock-modes.js';

/** One relation at one moment. */
interface SeenRelation {
  name: string;
  /** A letter of pg_class.relkind. */
  kind: string;
  /** The name of its file; it changes where the relation is written anew. Null for what has none. */
  fileNode: string | null;
  /** Of an index: the oid of its table. */
  table: string | null;
}

/** What a session sees of the relations, and which locks it holds. */
export interface SeenState {
  relations: ReadonlyMap<string, SeenRelation>;
  locks: readonly (readonly [relation: string, mode: string])[];
}

/** What a statement was seen to do to what was there before it. */
export interface Measured {
  /** Locks still held behind it, by relation; the weakest, which readers take, is left out. */
  locks: MeasuredLock[];
  /** Tables and indexes that were written anew. */
  rewritten: string[];
  /** Indexes that it built on tables that were there. */
  indexes: string[];
}

export interface MeasuredLock {
  relation: string;
  isIndex: boolean;
  /** In the words of SQL, such as ACCESS EXCLUSIVE; strongest first. */
  modes: string[];
}

const COLUMN = 'muva_seen';

/** One row with one text: what is there outside PostgreSQL's own schemas, and the locks of this session. */
export const SEEN_STATE_SQL = `select pg_catalog.json_build_object(
  'relations', (select pg_catalog.json_agg(pg_catalog.json_build_array(c.oid::text, pg_catalog.format('%I.%I', n.nspname, c.relname),
      c.relkind, pg_catalog.pg_relation_filenode(c.oid)::text, i.indrelid::text))
    from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace
    left join pg_catalog.pg_index i on i.indexrelid = c.oid
    where c.relkind <> 'c' and n.nspname !~ '^pg_' and n.nspname not in ('information_schema', 'muva_measure')),
  'locks', (select pg_catalog.json_agg(pg_catalog.json_build_array(l.relation::text, l.mode)) from pg_catalog.pg_locks l
    where l.pid = pg_catalog.pg_backend_pid() and l.locktype = 'relation' and l.granted))::text as ${COLUMN}`;

type Answer = {
  relations:
    | [oid: string, name: string, kind: string, fileNode: string | null, table: string | null][]
    | null;
  locks: [relation: string, mode: string][] | null;
};

/** Each state that a message looked at, in order. */
export function readSeenStates(results: readonly StatementResult[]): SeenState[] {
  return results.flatMap(({ rows }) => {
    const value = rows[0]?.[COLUMN];
    if (typeof value !== 'string') return [];
    const { relations, locks } = JSON.parse(value) as Answer;
    return [
      {
        relations: new Map(
          (relations ?? []).map(([oid, name, kind, fileNode, table]) => [
            oid,
            { name, kind, fileNode, table },
          ]),
        ),
        locks: locks ?? [],
      },
    ];
  });
}

/** `AccessExclusiveLock` as SQL has it: ACCESS EXCLUSIVE. */
function inWords(mode: string): string {
  let words = '';
  for (const character of mode.slice(0, -'Lock'.length))
    words +=
      words !== '' && character === character.toUpperCase() ? ` ${character}` : character.toUpperCase();
  return words;
}

/** From 0, which every SELECT takes and which says nothing. */
function levelOf(mode: string): number {
  return (LOCK_MODES as readonly string[]).indexOf(mode);
}

/** What came of a statement between two looks. */
export function compareStates(before: SeenState, after: SeenState): Measured {
  const locks = new Map<string, Set<number>>();
  for (const [oid, mode] of after.locks)
    if (before.relations.has(oid) && levelOf(mode) > 0)
      locks.set(oid, (locks.get(oid) ?? new Set()).add(levelOf(mode)));
  const old = [...before.relations];
  const isIndex = (oid: string): boolean => /^[iI]$/.test(before.relations.get(oid)?.kind ?? '');
  return {
    locks: [...locks]
      .map(([oid, modes]) => ({
        relation: before.relations.get(oid)!.name,
        isIndex: isIndex(oid),
        modes: [...modes].sort((one, other) => other - one).map((mode) => inWords(LOCK_MODES[mode]!)),
      }))
      .sort(
        (one, other) =>
          Number(one.isIndex) - Number(other.isIndex) || compareText(one.relation, other.relation),
      ),
    rewritten: old
      .filter(([oid, { fileNode }]) => {
        const now = after.relations.get(oid)?.fileNode;
        return fileNode !== null && now !== undefined && now !== null && now !== fileNode;
      })
      .sort(
        ([one, { name }], [other, { name: otherName }]) =>
          Number(isIndex(one)) - Number(isIndex(other)) || compareText(name, otherName),
      )
      .map(([, { name }]) => name),
    indexes: [...after.relations]
      .filter(
        ([oid, { table, fileNode }]) =>
          table !== null &&
          !before.relations.has(oid) &&
          before.relations.has(table) &&
          // One that is made again for another type of its column, without being built.
          !old.some(([, was]) => fileNode !== null && was.fileNode === fileNode),
      )
      .map(([, { name }]) => name)
      .sort(compareText),
  };
}

function compareText(one: string, other: string): number {
  return one < other ? -1 : one > other ? 1 : 0;
}

/** How strong a lock is, by its words; -1 for none. */
export function strengthOf(mode: string | undefined): number {
  return LOCK_MODES.findIndex((each) => inWords(each) === mode);
}

/** The strongest lock on a table, view or sequence; undefined where none was there to be locked. */
export function strongestLock({ locks }: Measured): string | undefined {
  const modes = locks.filter(({ isIndex }) => !isIndex).flatMap(({ modes: all }) => all);
  return modes.sort((one, other) => strengthOf(other) - strengthOf(one))[0];
}

/** In one line: `ACCESS EXCLUSIVE on public.t; writes public.t anew; builds public.t_c_key`. */
export function describeMeasured(measured: Measured): string {
  const byMode = new Map<string, string[]>();
  // The indexes of a table that is locked itself are locked as it is.
  for (const { relation, isIndex, modes } of measured.locks)
    if (!isIndex) byMode.set(modes[0]!, [...(byMode.get(modes[0]!) ?? []), relation]);
  const indexes = measured.locks.filter(({ isIndex }) => isIndex);
  const parts = [...byMode].map(([mode, names]) => `${mode} on ${shortenList(names)}`);
  const own = indexes.filter(({ modes }) => strengthOf(modes[0]) > strengthOf(strongestLock(measured)));
  if (own.length > 0)
    parts.push(`${own[0]!.modes[0]} on ${shortenList(own.map(({ relation }) => relation))}`);
  if (measured.rewritten.length > 0) parts.push(`writes ${shortenList(measured.rewritten)} anew`);
  if (measured.indexes.length > 0) parts.push(`builds ${shortenList(measured.indexes)}`);
  return parts.length === 0 ? 'no lock on what was there' : parts.join('; ');
}
