import type { ReadInput } from '../inputs/input-sources.js';
import { secretForms } from '../lib/secret.js';
import { workflowCommand } from './workflow-commands.js';

/** The step's `with:`, as the runner hands it over: dashes kept, untrimmed (keys and files are kept byte for byte). */
export function actionInputs(env: NodeJS.ProcessEnv): ReadInput {
  return (name) => env[`INPUT_${name.toUpperCase()}`] ?? '';
}

/** Masks every form of every secret, but not `test` and the like: that word would be blanked out of the whole log. */
export function maskSecrets(values: readonly string[]): void {
  const forms = new Set(values.flatMap(secretForms));
  // The runner shows a line for each; folded, they do not hide the beginning of the run.
  if (forms.size > 0) workflowCommand('group', 'Secrets masked');
  for (const form of forms) workflowCommand('add-mask', form);
  if (forms.size > 0) workflowCommand('endgroup');
}
