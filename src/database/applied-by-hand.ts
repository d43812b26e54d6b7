import { basename } from 'node:path';
import { problemsOf } from '../lib/report.js';
import type { DatabaseAccess } from './connection/connection.js';
import type { DatabasePlan } from './plan.js';
import type { DeployCheck } from './schema/deploy-check.js';
import {
  belongsTo,
  compareObjects,
  describeDifference,
  ownerlessQuery,
  readFingerprint,
  type SchemaObject,
} from './schema/fingerprint.js';
import { type ProofSetting, statesOnShadow } from './shadow.js';

/** What depends on who made it, and on what the server or the platform was set to, and not on the file. */
const NOT_JUDGED =
  /^(grants on |default privileges|comment|server|extension|publication|event trigger|schema$)/;

/**
 * Runs the pending files on the scratch database and looks whether this one holds what they leave behind, exactly:
 * for files that seem applied by hand. Where they cannot be run there, what their text tells is said instead.
 */
export async function judgeAppliedByHand(
  access: DatabaseAccess,
  setting: ProofSetting,
  { pending, deferred, byHand }: DatabasePlan,
): Promise<DeployCheck> {
  const files = [...pending, ...deferred];
  const told = byHand ? [byHand] : [];
  let states: SchemaObject[][];
  try {
    states = await statesOnShadow(access, setting, files);
  } catch (error) {
    const [why] = problemsOf(error);
    return {
      detail: `not compared: ${why?.message ?? 'the files do not run'}`,
      refusals: [],
      warnings: told,
    };
  }
  const sending = { deadline: 60_000, signal: access.signal };
  const { objects } = readFingerprint(await access.database.send(ownerlessQuery(), sending));
  const upTo = lastThere(states, objects);
  const file = files[upTo ?? -1];
  if (upTo !== undefined && file) {
    const [first] = files;
    const names = upTo === 0 ? basename(file.file) : `${basename(first!.file)} to ${basename(file.file)}`;
    return {
      detail: `as behind ${basename(file.file)}`,
      refusals: [],
      warnings: [
        {
          message: `${names} looks applied, though the history does not say so: run on the scratch database, it leaves behind what is here`,
          at: { file: file.file, line: 1, column: 1 },
          next: `Where it was applied by hand, record it without running it, with this line: baseline: ${file.version}. Rows and grants are not compared.`,
        },
      ],
    };
  }
  return {
    detail: 'not as behind any of the files',
    refusals: [],
    warnings: told.map((problem) => ({
      ...problem,
      next: `No baseline fits: run on the scratch database, the files leave something else behind. Against it: ${against(madeBy(states, states.length - 1), objects)}.`,
    })),
  };
}

/** How what is there differs from what the files make; other tables are nobody's business here. */
function against(made: readonly SchemaObject[], there: readonly SchemaObject[]): string {
  const tables = new Set(
    made.filter(({ kind }) => kind === 'table').map(({ schema, name }) => `${schema}.${name}`),
  );
  const difference = compareObjects(made, there.filter(isJudged));
  const added = difference.added.filter((object) => belongsTo(object, tables));
  return describeDifference({ ...difference, added });
}

const isJudged = ({ kind }: SchemaObject): boolean => !NOT_JUDGED.test(kind);
const lineOf = ({ kind, schema, name, hash }: SchemaObject): string =>
  JSON.stringify([kind, schema, name, hash]);

/** What the files up to one have made or changed, by the states before the first and behind each. */
function madeBy(states: readonly SchemaObject[][], state: number): SchemaObject[] {
  const before = new Set((states[0] ?? []).map(lineOf));
  return (states[state] ?? []).filter((object) => isJudged(object) && !before.has(lineOf(object)));
}

/** The last file up to which all is there, exactly, that the files leave behind; by its index. */
export function lastThere(
  states: readonly SchemaObject[][],
  there: readonly SchemaObject[],
): number | undefined {
  const found = new Set(there.map(lineOf));
  for (let state = states.length - 1; state > 0; state--) {
    const made = madeBy(states, state).map(lineOf);
    const before = new Set(madeBy(states, state - 1).map(lineOf));
    // A file that changes nothing that can be compared says nothing of itself.
    const changes = made.length !== before.size || made.some((line) => !before.has(line));
    if (changes && made.length > 0 && made.every((line) => found.has(line))) return state - 1;
  }
  return undefined;
}
