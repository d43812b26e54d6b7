import { envSecrets } from '../base/env-secrets.js';
import { INPUT_NAMES, inputRule, type ReadInput } from './inputs.js';

/** Every secret value as given, for masking; read before anything else happens. */
export function secretInputs(read: ReadInput): string[] {
  const values: string[] = [];
  for (const name of INPUT_NAMES) {
    if (!inputRule(name).secret) continue;
    const value = read(name);
    if (value.trim() === '') continue;
    values.push(value);
    if (name === 'env-file') values.push(...envSecrets(value));
    if (name === 'database-url' || name === 'shadow-database-url') values.push(...urlSecrets(value));
  }
  return values;
}

/** The password inside a URL, raw and decoded, also where the URL is wrong: it must not be seen either way. */
function urlSecrets(url: string): string[] {
  const credentials = /^[a-z]+:\/\/([^@]*(?:@.*)?)@/i.exec(url.trim())?.[1];
  if (credentials === undefined) return [];
  const password = credentials.slice(credentials.indexOf(':') + 1);
  const forms = credentials.includes(':') ? [credentials, password] : [];
  try {
    forms.push(decodeURIComponent(password));
  } catch {
    // A stray % is complained about by the URL parser; the raw form is masked all the same.
  }
  return forms.filter((form) => form !== '');
}
