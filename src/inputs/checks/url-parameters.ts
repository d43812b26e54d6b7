import type { UrlParameters } from '../../lib/database-address.js';

type Refused = { wrong: string; right: string };

/** Either why a value is refused, or what it adds; nothing where it asks for what is so anyway. */
type Reader = (value: string) => Refused | Partial<UrlParameters> | undefined;

const VERIFIED = 'Remove it: TLS is always verified off this machine.';
const refused = (wrong: string, right: string): Refused => ({ wrong, right });

/** Honoured where the value is one of these, which ask for what is done anyway. */
const only =
  (values: readonly string[], right: string): Reader =>
  (value) =>
    values.includes(value.toLowerCase()) ? undefined : refused('with a value that is not supported', right);

/** Says how a client keeps its connections or prepared statements; there is one connection here, and none of those. */
const ofPools: Reader = () => undefined;

/** Every parameter that is known: what is in no row is refused by its name. */
const READERS: Readonly<Record<string, Reader>> = {
  sslmode: (value) => {
    if (value === 'disable') return { plaintext: true };
    return only(['allow', 'prefer', 'require', 'verify-ca', 'verify-full'], VERIFIED)(value);
  },
  ssl: only(['true', '1'], VERIFIED),
  sslrootcert: only(['system'], 'Give the certificate authority as text (PEM) in database-ca-cert.'),
  channel_binding: only(
    ['disable', 'prefer'],
    'Remove it: the certificate of the server is always verified.',
  ),
  gssencmode: only(['disable', 'prefer', 'allow'], 'Remove it.'),
  client_encoding: only(['utf8', 'utf-8', 'auto'], 'Remove it: everything is UTF-8.'),
  target_session_attrs: only(['any'], 'Remove it, and give the URL of the primary.'),
  options: (value) => (value === '' ? undefined : { options: value }),
  application_name: (value) => (value === '' ? undefined : { applicationName: value }),
  connect_timeout: (value) => {
    if (!/^\d{1,5}$/.test(value))
      return refused('which is no number of seconds', 'Give it as connect_timeout=10.');
    return Number(value) === 0 ? undefined : { connectTimeout: Number(value) * 1_000 };
  },
  schema: only(['public'], 'Remove it; for another schema say options=-c%20search_path%3DNAME.'),
  pgbouncer: only(['true', 'false'], 'Say pgbouncer=true, or nothing.'),
  connection_limit: ofPools,
  pool_timeout: ofPools,
  statement_cache_size: ofPools,
  prepared_statements: ofPools,
  prepareThreshold: ofPools,
  // Added by Supabase's integration with Vercel.
  supa: ofPools,
  workaround: ofPools,
};

/** Reads every parameter, or says of the first that cannot be honoured which one it is. Values are never repeated. */
export function readUrlParameters(parameters: URLSearchParams): UrlParameters | Refused {
  let read: UrlParameters = { plaintext: false };
  const seen = new Set<string>();
  for (const [name, value] of parameters) {
    const shown = /^[A-Za-z_]{1,40}$/.test(name) ? `the parameter ${name}` : 'a parameter';
    if (seen.has(name)) return refused(`has ${shown} twice`, 'Give it once.');
    seen.add(name);
    const reader = Object.hasOwn(READERS, name) ? READERS[name] : undefined;
    if (!reader)
      return refused(
        `has ${shown}, which is not supported`,
        'Remove it: what it asks for would not happen. Supported are sslmode, options, application_name and connect_timeout.',
      );
    const result = reader(value);
    if (result && 'wrong' in result) return refused(`has ${shown} ${result.wrong}`, result.right);
    read = { ...read, ...result };
  }
  return read;
}
