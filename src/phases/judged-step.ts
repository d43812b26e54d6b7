import type { PhaseRecord } from '../base/phase.js';
import { Cancelled, Failure, type Problem, problemsOf } from '../base/report.js';
import type { Judgement } from '../database/schema/judgement.js';
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
  const judge = async (): Promise<Judgement> => {
    const judgement = await look();
    if (judgement.refusals.length > 0) throw new Failure(judgement.refusals);
    return judgement;
  };
  try {
    const { warnings } = await record.step(name, judge, ({ detail }) => detail);
    for (const problem of warnings) tools.log({ kind: 'warning', problem });
    return [];
  } catch (error) {
    if (error instanceof Cancelled) throw error;
    return problemsOf(error);
  }
}
