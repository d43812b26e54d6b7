// A reporter for node:test that adds one JSON line per test to the file FAULT_RESULTS: title, outcome, milliseconds.
// It shows nothing itself, so that it can stand beside another reporter.
import { appendFileSync } from 'node:fs';

export default async function* faultsReporter(events) {
  const file = process.env.FAULT_RESULTS;
  for await (const { type, data } of events) {
    if (type !== 'test:pass' && type !== 'test:fail') continue;
    const outcome =
      type === 'test:fail'
        ? 'failed'
        : data.skip !== undefined || data.todo !== undefined
          ? 'skipped'
          : 'passed';
    const entry = {
      title: data.name,
      outcome,
      milliseconds: data.details?.duration_ms ?? 0,
      suite: data.details?.type === 'suite',
    };
    if (file) appendFileSync(file, `${JSON.stringify(entry)}\n`);
  }
  yield '';
}
