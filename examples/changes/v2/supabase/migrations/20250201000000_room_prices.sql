alter table public.rooms add column price_cents integer not null default 0 check (price_cents >= 0);

create view public.cheapest_rooms with (security_invoker = true) as
  select name, beds, price_cents from public.rooms order by price_cents, name;
