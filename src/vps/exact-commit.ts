import { Failure } from '../base/report.js';
import { localGit } from './local-git.js';

/**
 * The full SHA of a commit, branch or tag, resolved in the checkout of this job: what is deployed is one exact
 * commit, and never what a branch has become meanwhile. Throws a Failure where the checkout does not have it.
 */
export async function exactCommit(ref: string, workingDirectory: string): Promise<string> {
  if (/^[0-9a-f]{40}$/.test(ref)) return ref;
  for (const name of [`refs/remotes/origin/${ref}`, `refs/tags/${ref}`, ref]) {
    const words = ['rev-parse', '--verify', '--quiet', '--end-of-options', `${name}^{commit}`];
    const { code, stdout } = await localGit(words, workingDirectory);
    const sha = stdout.trim();
    if (code === 0 && /^[0-9a-f]{40}$/.test(sha)) return sha;
  }
  throw new Failure({
    message: `ref ${JSON.stringify(ref)} is not a commit of the checkout in working-directory`,
    next: 'Give the full commit SHA, or check out with fetch-depth: 0 so that branches and tags are known.',
  });
}
