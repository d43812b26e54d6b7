/** A table, function or other object: schema and name as Postgres will store them. */
export interface QualifiedName {
  schema: string;
  name: string;
}

/** A function that must exist: by its name, or by its name and the types of its arguments. */
export interface FunctionName extends QualifiedName {
  /** Undefined: any function of that name. */
  arguments?: readonly ArgumentType[];
}

export interface ArgumentType {
  /** Undefined where it was given without one: of the search path, such as PostgreSQL's own types. */
  schema?: string;
  /** As the catalogue has it: `int4` for integer. */
  name: string;
  array: boolean;
}
