import { type PhaseRecord, runPhase } from '../base/phase.js';
import { Failure, type PhaseReport, type Problem } from '../base/report.js';
import { type DatabasePlan, planDatabase, planFiles } from '../database/plan.js';
import type { Settings } from '../settings/settings.js';
import type { Tools } from '../tools.js';
import { type HostLook, inspectFleet } from '../vps/inspect-fleet.js';

/** What a look at everything found; the phases that write go on from it and check that it still holds. */
export interface Look {
  report: PhaseReport;
  database?: DatabasePlan;
  hosts?: HostLook[];
}

/**
 * Says what a deploy would do and writes nothing. All refusals of all parts are told at once, so that one
 * correction is enough; a plan that a deploy would refuse has failed.
 */
export async function plan(tools: Tools, settings: Settings): Promise<Look> {
  const look: { database?: DatabasePlan; hosts?: HostLook[] } = {};
  const report = await runPhase('plan', tools.log, undefined, async (record) => {
    const refusals: Problem[] = [];
    // Both looks run at once; each reports its own steps, and neither hides what the other found.
    const [database, hosts] = await Promise.allSettled([
      lookAtDatabase(tools, settings, record),
      lookAtHosts(tools, settings, record),
    ]);
    if (database.status === 'rejected') throw database.reason;
    if (hosts.status === 'rejected') throw hosts.reason;
    if (database.value) {
      look.database = database.value;
      refusals.push(...database.value.refusals);
    }
    if (hosts.value) {
      look.hosts = hosts.value;
      refusals.push(...hosts.value.flatMap(hostRefusals));
    }
    if (refusals.length > 0) throw new Failure(refusals);
  });
  return { report, ...look };
}

async function lookAtDatabase(
  tools: Tools,
  settings: Settings,
  record: PhaseRecord,
): Promise<DatabasePlan | undefined> {
  return undefined;
}

async function lookAtHosts(
  tools: Tools,
  settings: Settings,
  record: PhaseRecord,
): Promise<HostLook[] | undefined> {
  return undefined;
}

function hostRefusals(look: HostLook): Problem[] {
  const problems = look.problem ? [look.problem] : (look.facts?.refusals ?? []);
  return problems.map((problem) => ({ ...problem, message: `host ${look.host}: ${problem.message}` }));
}
