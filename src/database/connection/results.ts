import type { Row, StatementResult } from './connection.js';

/** The row that the last statement with rows gave, the only one that every transport hands out; empty where there is none. */
export function lastRow(results: readonly StatementResult[]): Row {
  for (let index = results.length - 1; index >= 0; index--) {
    const row = results[index]!.rows[0];
    if (row) return row;
  }
  return {};
}

/** A field of that row that holds JSON, which a transport gives as text or parsed; undefined where it is empty or missing. */
export function jsonField<T>(results: readonly StatementResult[], name: string): T | undefined {
  const value = lastRow(results)[name];
  if (value === null || value === undefined || value === '') return undefined;
  return (typeof value === 'string' ? JSON.parse(value) : value) as T;
}
