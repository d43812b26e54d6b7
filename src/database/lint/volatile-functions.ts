import { type Node, nodesOf, optionOf, optionText, strings } from '../sql/parse-tree.js';

/** Functions of PostgreSQL and of its usual extensions that give another value for each row. */
const VOLATILE = new Set(
  `random random_normal clock_timestamp timeofday gen_random_uuid uuidv4 uuidv7 nextval setval currval lastval pg_sleep
  uuid_generate_v1 uuid_generate_v1mc uuid_generate_v4 gen_random_bytes gen_salt txid_current pg_current_xact_id`.split(
    /\s+/,
  ),
);

/** Functions that no default needs to be asked of: each gives one value for the whole statement. */
const STEADY = new Set(
  `now timezone statement_timestamp transaction_timestamp current_setting lower upper format concat to_char to_timestamp
  date_trunc make_interval make_date md5 encode decode digest jsonb_build_object jsonb_build_array json_build_object
  to_jsonb array_fill left right length substr replace btrim trim uid jwt role email set_config`.split(/\s+/),
);

/** The names that the function calls of an expression or statement have, each as its parts. */
export function calledFunctions(tree: unknown): string[][] {
  return [...nodesOf(tree)].flatMap(({ FuncCall: call }) =>
    call === undefined ? [] : [strings((call as Node).funcname)],
  );
}

/** What is known of a function by its name alone; undefined where a catalog has to say. */
export function usualVolatility(name: string): boolean | undefined {
  if (VOLATILE.has(name)) return true;
  return STEADY.has(name) ? false : undefined;
}

/** Whether a CREATE FUNCTION makes one that may give another value for each row, which is what it does unless told not to. */
export function isMadeVolatile({ options }: Node): boolean {
  return /^(?:volatile)?$/i.test(optionText(optionOf(options, 'volatility')) ?? '');
}
