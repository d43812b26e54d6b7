import { git } from '../host/git.js';
import type { HostState } from '../host-state/host-state.js';
import type { DeployRequest } from '../protocol.js';
import { readNote } from '../state/releases.js';
import { classifyPath } from './classify.js';
import { envDigest, findEnvFiles, readEnvFile, readEnvFiles } from './env-files.js';

/** True where a build of the live commit would get other environment files now than the live build got. */
export async function envChanges(
  { live, checkout, history, state }: HostState,
  { envFile, envFilePath }: Pick<DeployRequest, 'envFile' | 'envFilePath'>,
): Promise<boolean> {
  if (live === undefined) return false;
  const built = history.live && readNote(state, history.live.release)?.envDigest;
  if (built === undefined) return envFile !== undefined && readEnvFile(live, envFilePath) !== envFile;
  const tracked = new Set(checkout && (await git(checkout, 'ls-files', '-z')).split('\0'));
  const own = findEnvFiles(live).filter((path) => classifyPath(path, { tracked }) !== 'tracked');
  const texts = readEnvFiles(live, own);
  return envDigest(envFile === undefined ? texts : { ...texts, [envFilePath]: envFile }) !== built;
}
