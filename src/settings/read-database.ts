import type { DatabaseAddress, DatabaseConnection } from '../base/database-address.js';
import { given } from '../base/given.js';
import { complainAbout } from './complain.js';
import { parseDatabaseUrl } from './database-url.js';
import { parseFunctionName } from './function-names.js';
import type { InputName, ReadInput } from './inputs.js';
import { checkProjectRef, checkWebUrl, parseQualifiedName } from './names.js';
import { checkRelativePath } from './paths.js';
import { readKey } from './read-key.js';
import type { InputReader } from './readers.js';
import type { DatabaseSettings, FileSettings } from './settings.js';

export function readFiles(reader: InputReader): FileSettings {
  const migrationsDir = reader.path('migrations-dir');
  complainAbout(reader, 'migrations-dir', checkRelativePath(migrationsDir));
  return {
    migrationsDir,
    transaction: reader.choice('transaction', ['all', 'each']),
    destructiveChanges: reader.choice('destructive-changes', ['allow', 'warn', 'refuse']),
    irreversibleMigrations: reader.choice('irreversible-migrations', ['allow', 'refuse']),
  };
}

/** `server`: there is one that a backup can lie on. */
export function readDatabase(
  reader: InputReader,
  read: ReadInput,
  files: FileSettings,
  server: boolean,
): DatabaseSettings | undefined {
  const connection = readConnection(reader, read);
  const baseline = reader.optional('baseline');
  if (baseline !== undefined && !/^\d+$/.test(baseline)) {
    reader.complain(
      'baseline',
      'is not a version',
      'Use the digits at the start of a migration file name, such as 20250101000000.',
    );
  }
  const shadow = readShadow(reader, read);
  const backupTo = read('backup-to') === '' ? undefined : reader.choice('backup-to', ['vps', 'runner']);
  const rest = {
    ...files,
    includeAll: reader.boolean('include-all'),
    missingMigrations: reader.choice('missing-migrations', ['refuse', 'warn']),
    editedMigrations: reader.choice('edited-migrations', ['warn', 'refuse', 'allow']),
    ...given({ baseline }),
    lockTimeout: reader.duration('lock-timeout'),
    statementTimeout: reader.duration('statement-timeout'),
    lockWait: reader.duration('lock-wait'),
    backup: reader.choice('backup', ['off', 'schema', 'full']),
    backupTo: backupTo ?? (server ? 'vps' : 'runner'),
    afterHealth: reader.boolean('after-health'),
    requiredTables: readEach(reader, 'required-tables', reader.list('required-tables'), parseQualifiedName),
    requiredFunctions: readEach(
      reader,
      'required-functions',
      reader.calls('required-functions'),
      parseFunctionName,
    ),
    rls: reader.choice('rls', ['required', 'all', 'off']),
    rowCounts: reader.choice('row-counts', ['estimate', 'exact', 'off']),
    drift: reader.choice('drift', ['warn', 'fail', 'off']),
    ...given({ shadow }),
    allowDataLoss: reader.boolean('allow-data-loss'),
  } as const;
  return connection === undefined ? undefined : { connection, ...rest };
}

function readConnection(reader: InputReader, read: ReadInput): DatabaseConnection | undefined {
  const ca = read('database-ca-cert').trim();
  if (ca !== '' && !ca.includes('-----BEGIN CERTIFICATE-----')) {
    reader.complain(
      'database-ca-cert',
      'is not a PEM certificate',
      'It starts with -----BEGIN CERTIFICATE-----.',
    );
  }
  const certificate = ca === '' ? {} : { caCertificate: ca };
  const url = read('database-url');
  if (url !== '') {
    const parsed = parseDatabaseUrl(url);
    if ('wrong' in parsed) {
      reader.complain('database-url', parsed.wrong, parsed.right);
      return undefined;
    }
    if (parsed.address.plaintext && !parsed.address.loopback) {
      reader.complain(
        'database-url',
        'asks for sslmode=disable',
        'Remove sslmode: TLS is always verified off this machine.',
      );
    }
    return { kind: 'url', address: parsed.address, ...certificate };
  }
  const projectRef = reader.text('supabase-project-ref');
  const accessToken = readKey(reader, read, 'supabase-access-token');
  if (projectRef === '' || accessToken === undefined) return undefined;
  complainAbout(reader, 'supabase-project-ref', checkProjectRef(projectRef));
  const apiUrl = reader.text('supabase-api-url').replace(/\/+$/, '');
  complainAbout(reader, 'supabase-api-url', checkWebUrl(apiUrl, true));
  return { kind: 'management-api', projectRef, accessToken, apiUrl, ...certificate };
}

function readShadow(reader: InputReader, read: ReadInput): DatabaseAddress | undefined {
  const url = read('shadow-database-url');
  if (url === '') return undefined;
  const parsed = parseDatabaseUrl(url);
  if ('address' in parsed) return parsed.address;
  reader.complain('shadow-database-url', parsed.wrong, parsed.right);
  return undefined;
}

function readEach<T extends object>(
  reader: InputReader,
  input: InputName,
  items: readonly string[],
  parse: (item: string) => T | { wrong: string; right: string },
): T[] {
  const read: T[] = [];
  for (const item of items) {
    const parsed = parse(item);
    if ('wrong' in parsed) reader.complain(input, parsed.wrong, parsed.right);
    else read.push(parsed);
  }
  return read;
}
