import { MODES, type Mode } from '../../inputs/settings.js';
import { INPUT_PARTS, type Input } from '../../inputs/table.js';
import type { Problem } from '../../lib/report.js';
import { problemLines } from '../../report/log-format.js';

const MODE_DESCRIPTIONS: Readonly<Record<Mode, string>> = {
  plan: 'says what a deploy would do; writes nothing',
  migrate: 'applies the pending migrations',
  verify: 'checks schema and connectivity; writes nothing',
  redeploy: 'brings the server to one exact commit',
  health: 'database, application root and health path, with latencies; writes nothing',
  rollback: 'undoes what one run changed, or goes to a named commit',
  status: 'what is live on each host and in the database, and the last deploys; writes nothing',
  deploy: 'prepare, migrate, verify, redeploy, health; on failure the rollback, by itself',
};

const USAGE = `Usage: muva-deploy <mode> [--input value ...]
       muva-deploy init [--branch name] [--input value ...]
       muva-deploy --help | --version
`;

/** What is said to words that name no mode: the complaints about them, and how it is called. */
export function usageText(problems: readonly Problem[]): string {
  const complaints = problems.flatMap((problem) => [...problemLines(problem, '', 'error: '), '']);
  return `${[...complaints, USAGE].join('\n')}
Modes: ${MODES.join(', ')}; and init, which writes a workflow for GitHub Actions.
muva-deploy --help says what each does, and lists the inputs.
`;
}

/** What `muva-deploy --help` prints. */
export function helpText(): string {
  const lines = [USAGE, 'Modes:'];
  for (const mode of MODES) lines.push(`  ${mode.padEnd(9)} ${MODE_DESCRIPTIONS[mode]}`);
  lines.push(
    '  init      writes a workflow for GitHub Actions from the inputs given as flags, and says what is left to do',
    '',
    'Secrets belong into environment variables: every user of the machine can read the flags of a program that runs.',
    '  VPS_SSH_KEY="$(cat ~/.ssh/deploy_key)" DEPLOY_ENV_FILE="$(cat .env.production)" muva-deploy redeploy ...',
    '',
    'Inputs (a flag wins over the environment variable, and that over the default):',
  );
  for (const { title, inputs } of INPUT_PARTS) {
    lines.push('', `${title}:`);
    for (const [name, input] of Object.entries(inputs)) {
      // The mode is the first word.
      if (name === 'mode') continue;
      lines.push(`  --${name}`, `      ${[input.description, ...origin(name, input)].join(' ')}`);
    }
  }
  lines.push(
    '',
    'Exit code: 0 when everything asked for was done, else 1. MUVA_DEPLOY_DEBUG=1 shows more.',
    '',
  );
  return lines.join('\n');
}

/** In parentheses: where else the value of an input comes from. */
function origin(name: string, { env, fallback }: Input<unknown>): string[] {
  // Node looks for this flag among the arguments of the script too, and ends where it names no file.
  if (name === 'env-file') return [`(only as ${env[0]}: Node takes a flag --env-file for itself)`];
  const from = env.length > 0 ? [`or ${env.join(', ')}`] : [];
  const otherwise = fallback === '' ? [] : [`default ${fallback}`];
  const more = [...from, ...otherwise].join('; ');
  return more === '' ? [] : [`(${more})`];
}
