drop view public.cheapest_rooms;
alter table public.rooms drop column price_cents;
