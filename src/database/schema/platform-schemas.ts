/**
 * Schemas that PostgreSQL or the Supabase platform keeps and changes by itself. Their objects are left out, with
 * two exceptions that projects do write there: policies, and triggers that call a function of the project.
 */
export const PLATFORM_SCHEMAS = [
  'information_schema',
  'auth',
  'storage',
  'realtime',
  '_realtime',
  '_analytics',
  '_supavisor',
  'vault',
  'extensions',
  'graphql',
  'graphql_public',
  'pgbouncer',
  'pgsodium',
  'pgsodium_masks',
  'pgmq',
  'net',
  'cron',
  'supabase_functions',
  'supabase_migrations',
  'pgtle',
  'etl',
  'supabase_subscription_mgmt',
] as const;
