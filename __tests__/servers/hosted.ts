/**
 * A database as Supabase hosts it, in our own SQL: the services' roles, schemas and tables, and a `postgres` that is no
 * superuser and no member of those roles. Of the hosted one it cannot show: supautils itself (which extensions and
 * settings it lets postgres have), the services at work, Supavisor, and the real time-outs of the platform.
 */
import { type PostgresServer, query } from './postgres.js';

/**
 * `strict`: postgres may do on the services' tables only what it was granted, which proves the refusals. `lent`: it owns
 * some of them, as supautils lets it act there for policies and triggers; more is allowed then than on the platform.
 */
export type HostedVariant = 'strict' | 'lent';

export interface Hosted {
  /** Role `postgres`. */
  url: string;
  /** The superuser, in the same database. */
  adminUrl: string;
}

/** Makes a database as hosted in a server that is there for it alone: role settings hold for all of its databases. */
export async function createHosted(
  server: PostgresServer,
  variant: HostedVariant = 'strict',
): Promise<Hosted> {
  await query(server.adminUrl, HOSTED_ROLES);
  const url = await server.createDatabase();
  const admin = new URL(url);
  admin.username = 'supabase_admin';
  await query(admin.href, PLATFORM);
  if (variant === 'lent') await query(admin.href, LENT);
  return { url, adminUrl: admin.href };
}

const HOSTED_ROLES = `
do $$ declare name text; begin
  foreach name in array array['authenticator', 'supabase_auth_admin', 'supabase_storage_admin', 'supabase_realtime_admin', 'dashboard_user'] loop
    if not exists (select from pg_roles where rolname = name) then execute format('create role %I noinherit', name); end if;
  end loop;
end $$;
grant anon, authenticated, service_role to authenticator;
grant authenticator to postgres with admin option;
alter role postgres set search_path = "$user", public, extensions;
alter role postgres set statement_timeout = '2min';
alter role authenticator set statement_timeout = '8s';`;

const PLATFORM = `
create schema auth authorization supabase_auth_admin;
create schema storage authorization supabase_admin;
create schema realtime authorization supabase_admin;
create schema extensions authorization supabase_admin;
create schema vault authorization supabase_admin;
create schema graphql_public authorization supabase_admin;
grant usage on schema auth, storage, realtime, extensions, vault to postgres, anon, authenticated, service_role;

create table auth.users (id uuid primary key default gen_random_uuid(), email text unique, encrypted_password text,
  raw_user_meta_data jsonb, created_at timestamptz default now());
create table auth.identities (id uuid primary key default gen_random_uuid(), user_id uuid not null references auth.users on delete cascade);
create table auth.schema_migrations (version text primary key);
create function auth.uid() returns uuid language sql stable as $$ select nullif(current_setting('request.jwt.claim.sub', true), '')::uuid $$;
alter table auth.users enable row level security;
alter table auth.identities enable row level security;
insert into auth.schema_migrations values ('20250101000000');
insert into auth.users (id, email, encrypted_password) values ('00000000-0000-0000-0000-000000000001', 'ann@example.com', '$2a$10$hash-of-a-password');

create table storage.buckets (id text primary key, name text not null unique, public boolean default false);
create table storage.objects (id uuid primary key default gen_random_uuid(), bucket_id text references storage.buckets, name text, owner uuid);
create table storage.migrations (id int primary key, name text);
alter table storage.buckets enable row level security;
alter table storage.objects enable row level security;
create function storage.protect_delete() returns trigger language plpgsql as $$ begin
  if coalesce(current_setting('storage.allow_delete_query', true), '') <> 'true' then
    raise exception 'Direct deletion from storage tables is not allowed. Use the Storage API instead.' using errcode = '42501';
  end if;
  return null;
end $$;
create trigger protect_buckets_delete before delete on storage.buckets for each statement execute function storage.protect_delete();
insert into storage.buckets values ('avatars', 'avatars');
insert into storage.objects (bucket_id, name) values ('avatars', 'ann.png');
insert into storage.migrations values (1, 'initial');

create table realtime.messages (id uuid default gen_random_uuid(), topic text, inserted_at timestamp not null) partition by range (inserted_at);
create table realtime.messages_2026_11_27 partition of realtime.messages for values from ('2026-11-27') to ('2026-11-28');
alter table realtime.messages enable row level security;

create table vault.secrets (id uuid primary key default gen_random_uuid(), name text unique, secret text);
create function vault.create_secret(new_secret text, new_name text) returns uuid language sql security definer as
  $$ insert into vault.secrets (secret, name) values (new_secret, new_name) returning id $$;
create function extensions.uuid_generate_v4() returns uuid language sql as 'select gen_random_uuid()';

do $$ declare owned record; begin
  for owned in select format('alter table %s owner to %I', c.oid::regclass, o.role) as command
    from pg_class c join (values ('auth', 'supabase_auth_admin'), ('storage', 'supabase_storage_admin'),
      ('realtime', 'supabase_realtime_admin')) o(schema, role) on c.relnamespace = to_regnamespace(o.schema)
    where c.relkind in ('r', 'p')
  loop execute owned.command; end loop;
end $$;
grant usage on schema storage to supabase_storage_admin;
grant usage on schema realtime to supabase_realtime_admin;
grant all on all tables in schema auth, storage to postgres, dashboard_user;
revoke all on auth.schema_migrations, storage.migrations from postgres;
grant select, insert, update, delete on realtime.messages to postgres;
grant all on all functions in schema auth, extensions to postgres, anon, authenticated, service_role;
grant execute on function vault.create_secret(text, text) to postgres;
grant select, insert, update, delete on storage.buckets, storage.objects to anon, authenticated, service_role;

create publication supabase_realtime;
alter publication supabase_realtime owner to postgres;
create publication supabase_realtime_messages_publication for table realtime.messages_2026_11_27;
alter default privileges for role supabase_admin in schema public grant all on tables to postgres, anon, authenticated, service_role;
alter default privileges for role supabase_admin in schema public grant all on functions to postgres, anon, authenticated, service_role;
alter default privileges for role supabase_admin in schema public grant all on sequences to postgres, anon, authenticated, service_role;

create function extensions.pgrst_ddl_watch() returns event_trigger language plpgsql as $$ begin notify pgrst, 'reload schema'; end $$;
create function extensions.pgrst_drop_watch() returns event_trigger language plpgsql as $$ begin notify pgrst, 'reload schema'; end $$;
create event trigger pgrst_ddl_watch on ddl_command_end execute function extensions.pgrst_ddl_watch();
create event trigger pgrst_drop_watch on sql_drop execute function extensions.pgrst_drop_watch();`;

const LENT = `
grant create on schema auth, storage, realtime to postgres;
alter table auth.users owner to postgres;
alter table storage.objects owner to postgres;
alter table storage.buckets owner to postgres;
alter table realtime.messages owner to postgres;
revoke create on schema auth, storage, realtime from postgres;`;
