import { INPUT_SAYS } from '../settings/descriptions.js';
import { INPUT_NAMES, inputRule } from '../settings/inputs.js';
import { MODES, type Mode } from '../settings/settings.js';

const MODE_SAYS: Readonly<Record<Mode, string>> = {
  plan: 'says what a deploy would do; writes nothing',
  migrate: 'applies the pending migrations',
  verify: 'checks schema and connectivity; writes nothing',
  redeploy: 'brings the server to one exact commit',
  health: 'database, application root and health path, with latencies; writes nothing',
  rollback: 'undoes what one run changed, or goes to a named commit',
  deploy: 'migrate, verify, redeploy, health; on failure the rollback, by itself',
};

/** What `muva-deploy --help` prints. */
export function helpText(): string {
  const lines = ['Usage: muva-deploy <mode> [--input value ...]', '', 'Modes:'];
  for (const mode of MODES) lines.push(`  ${mode.padEnd(9)} ${MODE_SAYS[mode]}`);
  lines.push(
    '  init      writes a workflow for GitHub Actions from the inputs given as flags, and says what is left to do',
  );
  lines.push('', 'Inputs (a flag wins over the environment variable, and that over the default):');
  for (const name of INPUT_NAMES) {
    if (name === 'mode') continue;
    const { env, fallback } = inputRule(name);
    const from = env.length > 0 ? [`or ${env.join(', ')}`] : [];
    const otherwise = fallback === '' ? [] : [`default ${fallback}`];
    const more = [...from, ...otherwise].join('; ');
    lines.push(`  --${name}`, `      ${INPUT_SAYS[name]}${more === '' ? '' : ` (${more})`}`);
  }
  lines.push(
    '',
    'Exit code: 0 when everything asked for was done, else 1. MUVA_DEPLOY_DEBUG=1 shows more.',
    '',
  );
  return lines.join('\n');
}
