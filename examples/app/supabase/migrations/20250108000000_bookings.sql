create table public.bookings (
  id uuid primary key default gen_random_uuid(),
  room_id bigint not null references public.rooms (id),
  guest_id uuid not null,
  nights daterange not null check (not isempty(nights))
);

create index bookings_room on public.bookings (room_id);

alter table public.bookings enable row level security;
create policy "guests see their own bookings" on public.bookings for select
  using (guest_id::text = current_setting('request.jwt.claim.sub', true));
