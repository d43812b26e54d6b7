/** Thirty migrations, each with its down file, that between them make, change and drop every kind of object. */
export const EVERY_KIND: readonly (readonly [name: string, up: string, down: string])[] = [
  [
    'hotels',
    'create table public.hotels (id bigserial primary key, name text not null, stars int check (stars between 1 and 5));',
    'drop table public.hotels;',
  ],
  [
    'rooms',
    'create table public.rooms (id int generated always as identity primary key, hotel bigint not null references public.hotels on delete cascade, floor int default 1);',
    'drop table public.rooms;',
  ],
  [
    'status',
    `create type public.status as enum ('free', 'taken'); alter table public.rooms add column status public.status not null default 'free';`,
    'alter table public.rooms drop column status; drop type public.status;',
  ],
  [
    'email',
    `create domain public.email as text collate "C" not null constraint has_at check (value like '%@%'); comment on domain public.email is 'an address';`,
    'drop domain public.email;',
  ],
  ['pair', 'create type public.pair as (x int, y text);', 'drop type public.pair;'],
  ['span', 'create type public.span as range (subtype = numeric);', 'drop type public.span;'],
  [
    'rls',
    'alter table public.hotels enable row level security; alter table public.rooms enable row level security; alter table public.rooms force row level security;',
    'alter table public.rooms no force row level security, disable row level security; alter table public.hotels disable row level security;',
  ],
  [
    'policies',
    `create policy read on public.hotels for select to anon, authenticated using (stars > 2); create policy "write ""own""" on public.hotels as restrictive for update using (true) with check (name = current_user);`,
    `drop policy "write ""own""" on public.hotels; drop policy read on public.hotels;`,
  ],
  [
    'touch',
    'create function public.touch() returns trigger language plpgsql security definer set search_path = public as $$ begin return new; end $$;',
    'drop function public.touch();',
  ],
  [
    'triggers',
    'create trigger touched before update on public.hotels for each row when (old.name is distinct from new.name) execute function public.touch(); alter table public.hotels disable trigger touched;',
    'drop trigger touched on public.hotels;',
  ],
  [
    'deferred',
    'create constraint trigger checked after insert on public.rooms deferrable initially deferred for each row execute function public.touch();',
    'drop trigger checked on public.rooms;',
  ],
  [
    'overloads',
    `create function public.near(a int, b int default 1) returns int language sql immutable as 'select a + b'; create procedure public.tidy() language sql as 'select 1'; create aggregate public.total(int) (sfunc = int4pl, stype = int, initcond = '0');`,
    'drop aggregate public.total(int); drop procedure public.tidy(); drop function public.near(int, int);',
  ],
  [
    'atomic',
    'create function public.two() returns int language sql begin atomic; select 1; select 2; end;',
    'drop function public.two();',
  ],
  [
    'views',
    `create view public.good with (security_invoker = true) as select id, name from public.hotels where stars > 3; create materialized view public.counted as select count(*) as n from public.hotels;`,
    'drop materialized view public.counted; drop view public.good;',
  ],
  [
    'indexes',
    'create unique index hotels_name on public.hotels (lower(name)) where stars is not null; create index on public.rooms using btree (hotel, floor desc) include (id);',
    'drop index public.rooms_hotel_floor_id_idx; drop index public.hotels_name;',
  ],
  [
    'grants',
    'grant select, insert on public.hotels to anon with grant option; grant update (name) on public.hotels to authenticated; revoke execute on function public.near(int, int) from public; grant usage on sequence public.hotels_id_seq to pg_monitor;',
    'revoke usage on sequence public.hotels_id_seq from pg_monitor; grant execute on function public.near(int, int) to public; revoke update (name) on public.hotels from authenticated; revoke grant option for select, insert on public.hotels from anon cascade;',
  ],
  [
    'publication',
    'create publication news for table public.hotels (id, name), public.rooms where (id > 0) with (publish = insert);',
    'drop publication news;',
  ],
  [
    'partitions',
    `create table public.visits (day date not null, n int) partition by range (day); create table public.visits_2025 partition of public.visits for values from ('2025-01-01') to ('2026-01-01'); create index on public.visits (day);`,
    'drop table public.visits;',
  ],
  [
    'schema',
    'create schema app; grant usage on schema app to anon; create table app.notes (id uuid default gen_random_uuid(), body text); alter default privileges in schema app grant select on tables to anon;',
    'alter default privileges in schema app revoke select on tables from anon; drop table app.notes; drop schema app;',
  ],
  [
    'sequence',
    'create sequence public.ticket as int start 100 increment 5 maxvalue 1000 cycle;',
    'drop sequence public.ticket;',
  ],
  [
    'rule',
    'create rule kept as on delete to public.rooms do also nothing;',
    'drop rule kept on public.rooms;',
  ],
  [
    'statistics',
    'create statistics public.linked (dependencies, ndistinct) on hotel, floor from public.rooms;',
    'drop statistics public.linked;',
  ],
  [
    'comments',
    `comment on table public.hotels is e'@graphql({"name": "Hotel"})'; comment on column public.hotels.name is 'shown'; comment on policy read on public.hotels is 'public';`,
    'comment on policy read on public.hotels is null; comment on column public.hotels.name is null; comment on table public.hotels is null;',
  ],
  [
    'columns',
    `alter table public.hotels add column slug text generated always as (lower(name)) stored, add column seen timestamptz not null default '2025-01-01 00:00+00', alter column stars set not null, alter column stars set default 3;`,
    'alter table public.hotels alter column stars drop default, alter column stars drop not null, drop column seen, drop column slug;',
  ],
  [
    'renames',
    'alter table public.rooms rename column floor to level; alter view public.good rename to better; alter function public.near(int, int) rename to nearby;',
    'alter function public.nearby(int, int) rename to near; alter view public.better rename to good; alter table public.rooms rename column level to floor;',
  ],
  [
    'retype',
    'alter table public.rooms alter column level type bigint; alter table app.notes alter column body type varchar(80);',
    'alter table app.notes alter column body type text; alter table public.rooms alter column level type int;',
  ],
  [
    'constraints',
    `alter table public.rooms add constraint level_ok check (level < 200) not valid; alter table public.rooms validate constraint level_ok; alter table public.hotels add constraint one unique (name, stars) deferrable;`,
    'alter table public.hotels drop constraint one; alter table public.rooms drop constraint level_ok;',
  ],
  [
    'replace',
    `create or replace function public.touch() returns trigger language plpgsql security definer set search_path = public as $$ begin new.name := trim(new.name); return new; end $$;`,
    `create or replace function public.touch() returns trigger language plpgsql security definer set search_path = public as $$ begin return new; end $$;`,
  ],
  [
    'storage',
    `alter table public.hotels set (fillfactor = 70); alter table public.hotels alter column name set storage external; alter table public.rooms replica identity full;`,
    'alter table public.rooms replica identity default; alter table public.hotels alter column name set storage extended; alter table public.hotels reset (fillfactor);',
  ],
  [
    'drops',
    'drop materialized view public.counted; drop index public.hotels_name; drop policy read on public.hotels;',
    `create policy read on public.hotels for select to anon, authenticated using (stars > 2); comment on policy read on public.hotels is 'public'; create unique index hotels_name on public.hotels (lower(name)) where stars is not null; create materialized view public.counted as select count(*) as n from public.hotels;`,
  ],
];

/** The same as files of a migrations folder. */
export function everyKindFiles(): Record<string, string> {
  const files: Record<string, string> = {};
  EVERY_KIND.forEach(([name, up, down], index) => {
    const version = `202501${String(index + 1).padStart(2, '0')}000000`;
    files[`${version}_${name}.sql`] = up;
    files[`${version}_${name}.down.sql`] = down;
  });
  return files;
}
