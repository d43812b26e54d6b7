drop table public.bookings;
