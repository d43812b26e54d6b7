import type { DeployCheck } from '../database/schema/deploy-check.js';
import { Cancelled, Failure, type Problem, problemsOf } from '../lib/report.js';
import type { PhaseRecord } from '../report/phase.js';
import type { Tools } from './tools.js';

/**
 * Looks at something as a step, which has failed where the judgement refuses. Its warnings are told; the refusals are
 * handed back and not thrown, so that other looks go on and all are told at once.
 */
export async function deployCheckStep(
  tools: Tools,
  record: PhaseRecord,
  name: string,
  work: () => Promise<DeployCheck>,
): Promise<Problem[]> {
  const check = async (): Promise<DeployCheck> => {
    const result = await work();
    if (result.refusals.length > 0) throw new Failure(result.refusals);
    return result;
  };
  try {
    const { warnings } = await record.step(name, check, ({ detail }) => detail);
    for (const problem of warnings) tools.log({ kind: 'warning', problem });
    return [];
  } catch (error) {
    if (error instanceof Cancelled) throw error;
    return problemsOf(error);
  }
}
