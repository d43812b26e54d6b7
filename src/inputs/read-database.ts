import type { DatabaseAddress, DatabaseConnection } from '../lib/database-address.js';
import { definedOnly } from '../lib/defined-only.js';
import { parseDatabaseUrl } from './checks/database-url.js';
import { parseFunctionName } from './checks/function-names.js';
import { checkProjectRef, checkWebUrl, parseQualifiedName } from './checks/names.js';
import { checkRelativePath } from './checks/paths.js';
import { addEntryProblems, addInputProblem } from './input-problems.js';
import type { InputReader } from './input-reader.js';
import type { InputName } from './input-sources.js';
import type { DatabaseSettings, FileSettings } from './settings.js';

export function readFiles(reader: InputReader): FileSettings {
  const migrationsDir = reader.value('migrations-dir');
  addInputProblem(reader, 'migrations-dir', checkRelativePath(migrationsDir));
  const downDir = reader.value('down-dir');
  if (downDir !== undefined) addInputProblem(reader, 'down-dir', checkRelativePath(downDir));
  const verifySql = reader.value('verify-sql');
  addEntryProblems(reader, 'verify-sql', verifySql, checkRelativePath);
  return {
    migrationsDir,
    ...definedOnly({ downDir }),
    transaction: reader.value('transaction'),
    destructiveChanges: reader.value('destructive-changes'),
    irreversibleMigrations: reader.value('irreversible-migrations'),
    verifySql,
  };
}

/** `server`: there is one that a backup can lie on. */
export function readDatabase(
  reader: InputReader,
  files: FileSettings,
  server: boolean,
): DatabaseSettings | undefined {
  const connection = readConnection(reader);
  const baseline = reader.value('baseline');
  if (baseline !== undefined && !/^\d+$/.test(baseline)) {
    reader.complain(
      'baseline',
      'is not a version',
      'Use the digits at the start of a migration file name, such as 20250101000000.',
    );
  }
  const shadow = readShadow(reader);
  const backupTo = reader.value('backup-to');
  checkPlatformData(reader, backupTo === undefined && server);
  const rest = {
    ...files,
    migrateBefore: reader.value('migrate-before'),
    includeAll: reader.value('include-all'),
    missingMigrations: reader.value('missing-migrations'),
    editedMigrations: reader.value('edited-migrations'),
    ...definedOnly({ baseline }),
    lockTimeout: reader.value('lock-timeout'),
    statementTimeout: reader.value('statement-timeout'),
    lockWait: reader.value('lock-wait'),
    backup: reader.value('backup'),
    backupPlatformData: reader.value('backup-platform-data'),
    backupTo: backupTo ?? (server ? 'vps' : 'runner'),
    afterHealth: reader.value('after-health'),
    requiredTables: readEach(reader, 'required-tables', reader.value('required-tables'), parseQualifiedName),
    requiredFunctions: readEach(
      reader,
      'required-functions',
      reader.value('required-functions'),
      parseFunctionName,
    ),
    rls: reader.value('rls'),
    rlsExcept: readEach(reader, 'rls-except', reader.value('rls-except'), parseQualifiedName),
    rowCounts: reader.value('row-counts'),
    drift: reader.value('drift'),
    ...definedOnly({ shadow }),
    shadowBase: reader.value('shadow-base'),
    allowDataLoss: reader.value('allow-data-loss'),
  } as const;
  return connection === undefined ? undefined : { connection, ...rest };
}

/** `onServer`: nobody has said where the dump is to lie, and it would lie on the web server. */
function checkPlatformData(reader: InputReader, onServer: boolean): void {
  if (reader.value('backup-platform-data') === 'off') return;
  if (reader.value('backup') !== 'full')
    reader.complain(
      'backup-platform-data',
      'adds rows to a full dump, and none is made',
      'Say backup: full too.',
    );
  else if (onServer)
    reader.complain(
      'backup-platform-data',
      'would put the password hashes of auth.users on the web server',
      'Where that is meant, say backup-to: vps; or backup-to: runner.',
    );
}

function readConnection(reader: InputReader): DatabaseConnection | undefined {
  const ca = reader.value('database-ca-cert')?.trim() ?? '';
  if (ca !== '' && !ca.includes('-----BEGIN CERTIFICATE-----')) {
    reader.complain(
      'database-ca-cert',
      'is not a PEM certificate',
      'It starts with -----BEGIN CERTIFICATE-----.',
    );
  }
  const certificate = ca === '' ? {} : { caCertificate: ca };
  const url = reader.value('database-url');
  if (url !== undefined) {
    const parsed = parseDatabaseUrl(url.reveal());
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
  const projectRef = reader.value('supabase-project-ref');
  const accessToken = reader.value('supabase-access-token');
  if (projectRef === undefined || accessToken === undefined) return undefined;
  addInputProblem(reader, 'supabase-project-ref', checkProjectRef(projectRef));
  const apiUrl = reader.value('supabase-api-url').replace(/\/+$/, '');
  addInputProblem(reader, 'supabase-api-url', checkWebUrl(apiUrl, true));
  return { kind: 'management-api', projectRef, accessToken, apiUrl, ...certificate };
}

function readShadow(reader: InputReader): DatabaseAddress | undefined {
  const url = reader.value('shadow-database-url');
  if (url === undefined) return undefined;
  const parsed = parseDatabaseUrl(url.reveal());
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
