import { envSecrets } from '../lib/env-secrets.js';
import { isUnmaskable } from '../lib/secret.js';
import { INPUT_NAMES, type InputName, inputRule, type ReadInput } from './input-sources.js';
import { holdsPrivateKey } from './quote-if-safe.js';

/** What the log and the outputs are made of; an environment file may hold the same words, and they are no secrets. */
const NAMES: readonly InputName[] = [
  'mode',
  'environment',
  'app-name',
  'app-path',
  'working-directory',
  'migrations-dir',
  'env-file-path',
];

/**
 * Every secret value as given, for masking; read before anything else happens. A private key in the wrong input is
 * one too: it may come from a variable, which nobody has masked.
 */
export function secretInputs(read: ReadInput): string[] {
  const names = new Set(NAMES.map(read));
  return INPUT_NAMES.flatMap((name) => secretsOf(name, read(name), names));
}

/** The inputs that hold a secret too short or too common to be masked. */
export function unmaskableInputs(read: ReadInput): InputName[] {
  return INPUT_NAMES.filter((name) =>
    secretsOf(name, read(name), new Set()).some((value) => isUnmaskable(value.trim())),
  );
}

/** The value of a secret input, and the secrets inside it. */
function secretsOf(name: InputName, value: string, names: ReadonlySet<string>): string[] {
  const { kind, secret: isSecret } = inputRule(name);
  if (value.trim() === '' || !(isSecret || holdsPrivateKey(value))) return [];
  if (kind === 'env-file') return [value, ...envSecrets(value).filter((secret) => !names.has(secret))];
  if (kind === 'database-url') return [value, ...urlSecrets(value)];
  return [value];
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
