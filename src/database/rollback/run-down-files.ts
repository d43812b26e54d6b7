import type { Failure } from '../../lib/report.js';
import type { DatabaseAccess } from '../connection/connection.js';
import { jsonField, lastRow } from '../connection/results.js';
import { titleOf } from '../migrations/batches.js';
import type { DownText } from '../migrations/down-files.js';
import type { ReadyDown } from './find-down-files.js';
import type { RevertOrder } from './revert-order.js';
import { type Loss, revertFailure } from './rollback-failure.js';
import { sendChange } from './rollback-send.js';
import { revertMessage } from './rollback-sql.js';
import type { RollbackSteps } from './steps.js';

/** Everything was undone. */
export interface RevertResult {
  losses: Loss[];
  /** How the schema compares with its start, in the words of the message. */
  fingerprint: string;
}

/** Nothing was undone. */
export interface RevertFailure {
  failure: Failure;
  /** Which of the down files failed, where one did. */
  index?: number;
  startedAt: number;
}

const stepOf = (down: DownText): string => `database: undo ${titleOf(down)}`;

/** Sends the down files; a step is told only after the commit, with the time between its announcements. */
export async function runDowns(
  access: DatabaseAccess,
  lockWait: number,
  order: RevertOrder & { downs: readonly ReadyDown[] },
  steps: RollbackSteps,
): Promise<RevertResult | RevertFailure> {
  const { downs, marker } = order;
  const startedAt = Date.now();
  const reached = new Map<string, number>();
  const onNotice = (message: string): void => {
    if (!message.startsWith(`${marker} `)) return;
    const version = message.slice(marker.length + 1);
    reached.set(version, Date.now());
    access.log({ kind: 'progress', text: `undoing: ${version} ran, not yet committed` });
  };
  const versions = downs.map(({ version }) => version);
  try {
    const results = await sendChange(
      access,
      { ...order.rules, lockWait },
      versions,
      revertMessage(order),
      onNotice,
    );
    let from = startedAt;
    for (const down of downs) {
      const until = reached.get(down.version) ?? from;
      steps.add({ name: stepOf(down), outcome: 'passed', startedAt: from, milliseconds: until - from });
      from = until;
    }
    if (!results) return { losses: [], fingerprint: 'answer lost' };
    const { fingerprint } = lastRow(results);
    return {
      losses: jsonField<Loss[]>(results, 'losses') ?? [],
      fingerprint: typeof fingerprint === 'string' ? fingerprint : 'not compared',
    };
  } catch (error) {
    return { ...revertFailure(error, downs), startedAt };
  }
}

/** The steps of down files that were not committed: the one that failed, and those that were not reached. */
export function tellFailedDowns(
  steps: RollbackSteps,
  downs: readonly DownText[],
  failed: RevertFailure,
): void {
  const { failure, index, startedAt } = failed;
  steps.add({
    name: index === undefined ? 'database: undo' : stepOf(downs[index]!),
    outcome: failure.outcome,
    startedAt,
    milliseconds: Date.now() - startedAt,
  });
  if (index !== undefined) steps.skip(...downs.slice(index + 1).map(stepOf));
}
