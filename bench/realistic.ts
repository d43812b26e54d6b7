/**
 * Migrations as projects have them, which one-table files hide: a third functions with bodies of 30 lines, a third policies
 * and grants, then alters, tables, enum values, and now and then a dump of 400 kB. The same for every count: no chance in it.
 */

/** SQL texts in their order; each may use only what those before it made. */
export function realisticFiles(count: number): string[] {
  const tables: string[] = [];
  return Array.from({ length: count }, (_, index) => {
    const turn = KINDS[index % KINDS.length]!;
    const kind = turn === 'dump' && index % BETWEEN_DUMPS !== BETWEEN_DUMPS - 1 ? 'function' : turn;
    if (kind === 'table' || tables.length === 0) {
      tables.push(`orders_${index}`);
      return tableWithStatus(index);
    }
    const table = tables[(index * 7) % tables.length]!;
    return TEXTS[kind](index, table);
  });
}

type Kind = 'table' | 'function' | 'policy' | 'grant' | 'alter' | 'index' | 'value' | 'dump';

/** Files from one dump to the next. */
const BETWEEN_DUMPS = 96;

/** Of 24 files in a row. */
const KINDS: readonly Kind[] = [
  'table',
  'function',
  'policy',
  'function',
  'grant',
  'alter',
  'function',
  'policy',
  'value',
  'function',
  'policy',
  'grant',
  'table',
  'function',
  'policy',
  'index',
  'function',
  'grant',
  'alter',
  'function',
  'policy',
  'policy',
  'function',
  'dump',
];

const TEXTS: Readonly<Record<Exclude<Kind, 'table'>, (index: number, table: string) => string>> = {
  function: functionOf30Lines,
  policy: (index, table) =>
    `drop policy if exists "owners read ${index}" on public.${table};
create policy "owners read ${index}" on public.${table} for select to authenticated
  using (owner_id = (select auth.uid()) or exists (
    select 1 from public.${table} other where other.id = ${table}.id and other.total > ${index}));
create policy "owners write ${index}" on public.${table} for update to authenticated
  using (owner_id = (select auth.uid())) with check (total >= 0);
`,
  grant: (_index, table) =>
    `grant select, insert on table public.${table} to authenticated;
grant all on table public.${table} to service_role;
revoke delete on table public.${table} from anon;
comment on table public.${table} is 'What a person has ordered';
`,
  alter: (index, table) =>
    `alter table public.${table} add column if not exists note_${index} text;
alter table public.${table} add column if not exists weight_${index} numeric(10, 2) not null default 0;
alter table public.${table} add constraint weight_${index}_positive check (weight_${index} >= 0);
comment on column public.${table}.note_${index} is 'Free text';
`,
  index: (index, table) =>
    `create index if not exists ${table}_total_${index} on public.${table} (total desc) where total > ${index};\n`,
  value: (index, table) =>
    `alter type public.${table.replace('orders', 'status')} add value if not exists 'stage ${index}';\n`,
  dump: (index) => dump(index),
};

function tableWithStatus(index: number): string {
  const name = `orders_${index}`;
  return `create type public.status_${index} as enum ('new', 'paid', 'sent');
create table public.${name} (
  id bigint generated always as identity primary key,
  owner_id uuid not null,
  status public.status_${index} not null default 'new',
  total numeric(12, 2) not null default 0,
  made_at timestamptz not null default now()
);
create index ${name}_owner on public.${name} (owner_id);
alter table public.${name} enable row level security;
`;
}

function functionOf30Lines(index: number, table: string): string {
  const steps = Array.from(
    { length: 11 },
    (_, step) => `  if found_total > ${step * 100} then
    found_total := round(found_total * 0.9${step}, 2);
  end if;`,
  ).slice(0, 7);
  return `create or replace function public.settle_${index}(wanted uuid, rate numeric default 1.0)
returns table (id bigint, total numeric)
language plpgsql
security definer
set search_path = public
as $$
declare
  found_total numeric := 0;
begin
  select coalesce(sum(o.total), 0) into found_total from public.${table} o where o.owner_id = wanted;
${steps.join('\n')}
  return query select o.id, (o.total * rate)::numeric from public.${table} o where o.owner_id = wanted;
end;
$$;
revoke all on function public.settle_${index}(uuid, numeric) from public;
grant execute on function public.settle_${index}(uuid, numeric) to authenticated, service_role;
`;
}

/** Rows as a dump has them. Bytes: about 400,000, in statements of a thousand rows. */
function dump(index: number): string {
  const rows = (from: number): string =>
    Array.from(
      { length: 1_000 },
      (_, row) => `  (${from + row}, 'Place number ${from + row} of list ${index}', ${(from + row) / 4})`,
    ).join(',\n');
  const inserts = Array.from(
    { length: 8 },
    (_, part) => `insert into public.places_${index} (id, name, height) values\n${rows(part * 1_000)};\n`,
  );
  return `create table public.places_${index} (id int primary key, name text not null, height numeric);\n${inserts.join('')}`;
}

/** What a Supabase project has before its first migration, as far as these files use it. */
export const BEFORE_REALISTIC = `
create schema if not exists auth;
create or replace function auth.uid() returns uuid language sql stable as 'select null::uuid';
do $$ declare name text; begin
  foreach name in array array['anon', 'authenticated', 'service_role'] loop
    if to_regrole(name) is null then execute format('create role %I', name); end if;
  end loop;
end $$;
`;
