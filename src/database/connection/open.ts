import type { DatabaseConnection } from '../../lib/database-address.js';
import type { Database } from './connection.js';
import { openManagementApi } from './management-api.js';
import { type OpenOptions, openPostgres } from './postgres-connection.js';

export type { OpenOptions };

/** Opens nothing yet: the connection is made with the first message. Close it when done. */
export function openDatabase(connection: DatabaseConnection, options: OpenOptions = {}): Database {
  return connection.kind === 'url'
    ? openPostgres(connection.address, connection.caCertificate, options)
    : openManagementApi(connection, options);
}
