import { retryRead } from '../database/connection/retry-read.js';
import { failureOf } from '../database/connection/sql-problem.js';
import { compareHistory } from '../database/schema/compare-history.js';
import { askOwnChecks, problemsOfCheck, readOwnChecks, rowsOf } from '../database/schema/own-checks.js';
import {
  type JudgedFact,
  judgeSchema,
  readSchemaRows,
  schemaFactsQuery,
} from '../database/schema/schema-facts.js';
import { definedOnly } from '../lib/defined-only.js';
import { Failure, type PhaseReport, type Problem, type Step } from '../lib/report.js';
import { runPhase } from '../report/phase.js';
import type { DatabaseWork } from './tools.js';

/** Checks schema and connectivity in one round trip and writes nothing; one step per fact. */
export async function verify({ database, settings, log, signal }: DatabaseWork): Promise<PhaseReport> {
  return runPhase('verify', log, undefined, async (record) => {
    const rules = settings.database;
    record.facts.verified = false;
    const question = schemaFactsQuery(rules, settings.mode === 'verify');
    const rows = await record.step('ask the database', async () => {
      const asked = { deadline: question.deadline, signal };
      const results = retryRead(signal, () => database.send(question.message, asked));
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
    const own = await readOwnChecks(settings.workingDirectory, rules.verifySql);
    if (own.checks.length > 0) {
      const asked = { database, settings, log, signal };
      const found = await record.step('run verify-sql', () => askOwnChecks(asked, own.checks));
      for (const result of found) {
        const wrong = problemsOfCheck(result);
        const detail = result.failed === undefined ? rowsOf(result.rows) : 'failed';
        record.add(
          stepOf({
            name: `verify-sql ${result.file}`,
            passed: wrong.length === 0,
            detail,
            problems: wrong,
            warnings: [],
          }),
        );
        problems.push(...wrong);
      }
    }
    problems.push(...own.problems);
    if (problems.length > 0) throw new Failure(problems);
    record.facts.verified = true;
    record.summarise(`The schema verifies: ${facts.length + 1 + own.checks.length} facts checked.`);
  });
}

function stepOf({ name, passed, detail }: JudgedFact): Step {
  return {
    name,
    outcome: passed ? 'passed' : 'failed',
    startedAt: Date.now(),
    milliseconds: 0,
    ...definedOnly({ detail }),
  };
}
