import { isUnmaskable, secretForms } from '../base/secret.js';
import type { ReadInput } from '../settings/inputs.js';
import { command } from './commands.js';

/** The step's `with:`, as the runner hands it over: dashes kept, untrimmed (keys and files are kept byte for byte). */
export function actionInputs(env: NodeJS.ProcessEnv): ReadInput {
  return (name) => env[`INPUT_${name.toUpperCase()}`] ?? '';
}

/**
 * Masks every form of every secret and returns how many were too short or too common for it: masking `test`
 * would blank that word out of the whole log.
 */
export function maskSecrets(values: readonly string[]): number {
  for (const form of new Set(values.flatMap(secretForms))) command('add-mask', form);
  return values.filter((value) => isUnmaskable(value.trim())).length;
}
