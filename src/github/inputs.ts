import { getInput, setSecret } from '@actions/core';
import { isUnmaskable, secretForms } from '../base/secret.js';
import type { ReadInput } from '../settings/inputs.js';

/** The step's `with:`; the runner hands it over as INPUT_*. Untrimmed: keys and files are kept byte for byte. */
export const readActionInput: ReadInput = (name) => getInput(name, { trimWhitespace: false });

/**
 * Masks every form of every secret and returns how many were too short or too common for it: masking `test`
 * would blank that word out of the whole log.
 */
export function maskSecrets(values: readonly string[]): number {
  for (const form of new Set(values.flatMap(secretForms))) setSecret(form);
  return values.filter((value) => isUnmaskable(value.trim())).length;
}
