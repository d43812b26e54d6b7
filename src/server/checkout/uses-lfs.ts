import { gitAnswer } from './local-git.js';

/**
 * Whether a commit keeps files in Git LFS; undefined where the checkout of this job is at another one, or at none: git
 * can be asked for the attributes of what is checked out alone.
 */
export async function usesLfs(sha: string, workingDirectory: string): Promise<boolean | undefined> {
  const answer = (...words: string[]): Promise<string | undefined> => gitAnswer(words, workingDirectory);
  if ((await answer('rev-parse', '--verify', '--quiet', 'HEAD'))?.trim() !== sha) return undefined;
  const files = await answer('ls-files', '-z', '--', ':(top,attr:filter=lfs)');
  return files === undefined ? undefined : files !== '';
}
