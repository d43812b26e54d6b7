import type { PhaseRecord } from '../base/phase.js';
import type { Problem } from '../base/report.js';
import { problemsOf } from '../base/report.js';
import type { Judgement } from '../database/judgement.js';
import type { Tools } from '../tools.js';

/**
 * Looks at something as a step, which has failed where the judgement refuses. Its warnings are told; the refusals are
 * handed back and not thrown, so that other looks go on and all are told at once.
 */
export async function judgedStep(
  tools: Tools,
  record: PhaseRecord,
  name: string,
  look: () => Promise<Judgement>,
): Promise<Problem[]> {
  const startedAt = Date.now();
  const judgement = await look().catch((error: unknown) => ({
    detail: '',
    refusals: problemsOf(error),
    warnings: [],
  }));
  record.add({
    name,
    outcome: judgement.refusals.length > 0 ? 'failed' : 'passed',
    startedAt,
    milliseconds: Date.now() - startedAt,
    ...(judgement.detail === '' ? {} : { detail: judgement.detail }),
  });
  for (const problem of judgement.warnings) tools.log({ kind: 'warning', problem });
  return judgement.refusals;
}
