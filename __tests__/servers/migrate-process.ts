/** A migrate run as a process of its own, to be killed: `migrate-process.js FOLDER URL RUN_ID [input=value ...]`. */
import { runMigrate } from './project.js';

const [folder = '', url = '', runId = '', ...inputs] = process.argv.slice(2);
const stop = new AbortController();
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => stop.abort());
const project = {
  folder,
  write: () => undefined,
  remove: () => undefined,
  delete: () => undefined,
};
const { report } = await runMigrate(project, url, {
  runId,
  signal: stop.signal,
  inputs: Object.fromEntries(inputs.map((input) => input.split('='))),
});
process.stdout.write(
  `${JSON.stringify({ outcome: report.outcome, applied: report.facts.applied, problems: report.problems })}\n`,
);
process.exit(report.outcome === 'passed' ? 0 : 1);
