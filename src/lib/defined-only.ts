/** Fields that may be undefined, as fields that may be absent. */
type Defined<T> = { [K in keyof T]?: Exclude<T[K], undefined> };

/** The fields that have a value, to be spread into an object whose optional fields are absent rather than undefined. */
export function definedOnly<T extends object>(fields: T): Defined<T> {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined)) as Defined<T>;
}
