import { createWriteStream, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { textEnd } from '../../lib/cut-text.js';
import type { DatabaseAddress } from '../../lib/database-address.js';
import { runProgram } from '../../lib/local-programs.js';
import { pgDumpFor, withDump } from '../backup/pg-dump.js';
import type { Transport } from '../connection/connection.js';
import { PLATFORM_SCHEMAS } from '../schema/platform-schemas.js';
import { type Node, nodesOf, strings } from '../sql/parse-tree.js';
import type { Statement } from '../sql/parser.js';

/** Whose schema is dumped, and over which way. */
export interface DumpSource {
  readonly address: DatabaseAddress;
  readonly caCertificate: string | undefined;
  readonly transport: Transport;
  readonly serverMajor: number;
  /** Milliseconds. */
  readonly lockTimeout: number;
  readonly signal: AbortSignal;
}

/** The schema of a database as SQL, without what belongs to the platform; or why it cannot be had. */
export async function dumpSchema(source: DumpSource): Promise<{ sql: string } | { why: string }> {
  const { address, caCertificate, lockTimeout, signal } = source;
  const pgDump = await pgDumpFor(source.transport, source.serverMajor);
  if ('message' in pgDump) return { why: pgDump.message.replace(/, so there is no backup$/, '') };
  if (pgDump.major !== source.serverMajor)
    return { why: `pg_dump ${source.serverMajor} is not installed on this machine, only ${pgDump.major}` };
  const folder = mkdtempSync(join(tmpdir(), 'muva-schema-'));
  try {
    const archive = join(folder, 'schema.dump');
    const what = { what: 'schema', platform: 'left out' } as const;
    const order = { pgDump, address, caCertificate, lockTimeout, signal, ...what };
    await withDump(order, (output) => pipeline(output, createWriteStream(archive, { mode: 0o600 })));
    const restored = await runProgram(
      [
        join(dirname(pgDump.path), 'pg_restore'),
        '--file=-',
        '--no-comments',
        '--no-security-labels',
        '--no-publications',
        '--no-subscriptions',
        ...PLATFORM_SCHEMAS.map((schema) => `--exclude-schema=${schema}`),
        archive,
      ],
      { signal },
    );
    if (restored.code !== 0) return { why: `pg_restore failed: ${textEnd(restored.stderr.trim(), 300)}` };
    return { sql: restored.stdout };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** A statement about a schema of the platform itself, which pg_restore leaves in. */
export function isOfPlatform({ kind, node }: Pick<Statement, 'kind' | 'node'>): boolean {
  if (kind === 'CreateSchemaStmt') return isPlatform(String(node.schemaname));
  if (node.objtype !== 'OBJECT_SCHEMA' && node.objectType !== 'OBJECT_SCHEMA') return false;
  return strings([node.object, ...((node.objects as unknown[] | undefined) ?? [])].filter(Boolean)).some(
    isPlatform,
  );
}

function isPlatform(schema: string): boolean {
  return (PLATFORM_SCHEMAS as readonly string[]).includes(schema);
}

/** The roles that statements name. */
export function rolesNamed(statements: readonly Pick<Statement, 'node'>[]): string[] {
  const names = new Set<string>();
  for (const { node } of statements)
    for (const each of nodesOf(node)) {
      const role = (each.RoleSpec ?? each) as Node;
      if (role.roletype === 'ROLESPEC_CSTRING') names.add(String(role.rolename));
    }
  return [...names];
}
