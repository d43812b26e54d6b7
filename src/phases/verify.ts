import { given } from '../base/given.js';
import { runPhase } from '../base/phase.js';
import { Failure, type PhaseReport, type Problem, type Step } from '../base/report.js';
import { failureOf } from '../database/connection/problem.js';
import { reading } from '../database/connection/reading.js';
import { compareHistory } from '../database/schema/compare-history.js';
import {
  type JudgedFact,
  judgeSchema,
  readSchemaRows,
  schemaFactsQuery,
} from '../database/schema/schema-facts.js';
import type { DatabaseWork } from '../tools.js';

/** Checks schema and connectivity in one round trip and writes nothing; one step per fact. */
export async function verify({ database, settings, log, signal }: DatabaseWork): Promise<PhaseReport> {
  return runPhase('verify', log, undefined, async (record) => {
    const rules = settings.database;
    record.facts.verified = false;
    const question = schemaFactsQuery(rules, settings.mode === 'verify');
    const rows = await record.step('ask the database', async () => {
      const asked = { deadline: question.deadline, signal };
      const results = reading(signal, () => database.send(question.message, asked));
      return readSchemaRows(
        await results.catch((error: unknown) => {
          throw failureOf(error, 'verifying the schema');
        }),
      );
    });
    const { facts, tables } = judgeSchema(rows, rules);
    record.facts.tables = tables;
    const history = await compareHistory(settings.workingDirectory, rules, rows.history);
    const problems: Problem[] = [];
    for (const fact of [...facts, history]) {
      record.add(stepOf(fact));
      for (const problem of fact.warnings) log({ kind: 'warning', problem });
      problems.push(...fact.problems);
    }
    if (problems.length > 0) throw new Failure(problems);
    record.facts.verified = true;
    record.summarise(`The schema verifies: ${facts.length + 1} facts checked.`);
  });
}

function stepOf({ name, passed, detail }: JudgedFact): Step {
  return {
    name,
    outcome: passed ? 'passed' : 'failed',
    startedAt: Date.now(),
    milliseconds: 0,
    ...given({ detail }),
  };
}
