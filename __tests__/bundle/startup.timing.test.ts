import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { withFirstCalls } from '../servers/first-call.js';

/** The most that loading the bundle may add to an empty Node process before its first network call, in milliseconds. */
const BUDGET = 60;
/** What an empty process takes on the machine that the budget was set for; a slower machine gets more in proportion. */
const EMPTY = 25;

test(`in every mode the first network call comes within ${BUDGET} ms of an empty Node process`, async () => {
  await withFirstCalls(join(process.cwd(), 'dist'), async ({ modes, ofMode, ofEmpty }) => {
    const empty: number[] = [];
    const added = new Map<string, number[]>(Object.keys(modes).map((mode) => [mode, []]));
    // In turns, so that a change in the machine's speed meets all; the least of each is the one without a disturbance.
    for (let round = 0; round < 9; round++) {
      empty.push(await ofEmpty());
      for (const [mode, times] of added) times.push(await ofMode(mode));
    }
    const over = [...added].map(([mode, times]) => [mode, Math.min(...times) - Math.min(...empty)] as const);
    const budget = BUDGET * Math.max(1, Math.min(...empty) / EMPTY);
    const late = over.filter(([, milliseconds]) => milliseconds > budget);
    assert.deepEqual(
      late.map(([mode, milliseconds]) => `${mode}: ${Math.round(milliseconds)} ms`),
      [],
    );
  });
});
