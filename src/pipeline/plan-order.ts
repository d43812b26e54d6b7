import type { PlanOrder } from '../database/plan.js';
import type { DatabaseRun } from './tools.js';

/** The settings as the plan of the database takes them. `contract`: health has passed, or mode `migrate` was told so. */
export function planOrder(settings: DatabaseRun, contract = false): PlanOrder {
  const { environment, adoptEnvironment, run, mode, vps, skip, workingDirectory, database: rules } = settings;
  const whole = mode === 'deploy' || mode === 'plan';
  return {
    workingDirectory,
    rules,
    identity: {
      environment,
      adoptEnvironment,
      repository: run.repository,
      serverMissing: whole && vps === undefined && !skip.includes('vps'),
    },
    contract,
    warnings:
      rules.afterHealth && mode !== 'migrate' && !contract
        ? [
            {
              message: `after-health: true has no effect in mode ${mode}`,
              next: 'A deploy applies the files marked "-- deploy: after-health" by itself, once health has passed. Remove the input.',
            },
          ]
        : [],
  };
}
