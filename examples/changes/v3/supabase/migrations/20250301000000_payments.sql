create table public.payments (
  id uuid primary key default gen_random_uuid(),
  booking_id uuid not null references public.bookings (id),
  amount_cents integer not null check (amount_cents > 0),
  paid_at timestamptz not null default now()
);

alter table public.payments enable row level security;
create policy "guests see their own payments" on public.payments for select
  using (exists (select from public.bookings where bookings.id = payments.booking_id));
