create table public.rooms (
  id bigint generated always as identity primary key,
  name text not null unique,
  beds smallint not null check (beds between 1 and 8)
);

alter table public.rooms enable row level security;
create policy "everyone sees the rooms" on public.rooms for select using (true);

insert into public.rooms (name, beds) values ('Garden', 2), ('Attic', 1), ('Family', 4);
