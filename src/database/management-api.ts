import { Failure } from '../base/report.js';
import type { DatabaseConnection } from '../settings/settings.js';
import type { Database } from './connection.js';
import type { OpenOptions } from './postgres-connection.js';

export function openManagementApi(
  _connection: Extract<DatabaseConnection, { kind: 'management-api' }>,
  _options: OpenOptions,
): Database {
  throw new Failure({ message: 'the Management API is not reachable yet' });
}
