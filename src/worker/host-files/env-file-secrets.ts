import { envSecrets, isSecretByName } from '../../lib/env-secrets.js';
import type { HostState } from '../host-state/host-state.js';
import { findEnvFiles, readEnvFile } from './env-files.js';

/**
 * What a build, a restart or the application may print and the action cannot know, so that only the server can hide
 * it: the values in its environment files and in the entry of its supervisor.
 */
export function hostSecrets(found: HostState): string[] {
  const byName = Object.entries(found.entry?.env ?? {})
    .filter(([name, value]) => isSecretByName(name, value))
    .map(([, value]) => value);
  if (found.live === undefined) return byName;
  const { live } = found;
  const texts = findEnvFiles(live).map((path) => readEnvFile(live, path) ?? '');
  return [...byName, ...texts.flatMap(textSecrets)];
}

/** Of an environment file: its values, and its lines for a key or certificate that goes over several. */
export function textSecrets(text: string): string[] {
  return [text, ...envSecrets(text)];
}
