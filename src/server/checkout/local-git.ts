import { type ProgramEnd, runProgram } from '../../lib/local-programs.js';
import { Failure, problemsOf } from '../../lib/report.js';

/** What git says in the checkout of this job; undefined where it does not end with 0, or cannot work there. */
export async function gitAnswer(
  words: readonly string[],
  workingDirectory: string,
): Promise<string | undefined> {
  const ended = await localGit(words, workingDirectory).catch(() => undefined);
  return ended?.code === 0 ? ended.stdout : undefined;
}

/**
 * Runs git in the checkout of this job. Throws a Failure where it cannot work there at all: it is not installed, the
 * folder is missing, or the checkout belongs to another user (jobs in a container); any other end is the caller's.
 */
export async function localGit(words: readonly string[], workingDirectory: string): Promise<ProgramEnd> {
  let ended: ProgramEnd;
  try {
    ended = await runProgram(['git', ...words], { cwd: workingDirectory });
  } catch (error) {
    throw new Failure({
      message: `git could not be run in ${workingDirectory}: ${problemsOf(error)[0]!.message}`,
      next: 'Check working-directory, and that git is installed where this job runs.',
    });
  }
  if (/dubious ownership|unsafe repository/.test(ended.stderr))
    throw new Failure({
      message: `git refuses to work in ${workingDirectory}, because another user owns the checkout`,
      next: 'In a step before this one: git config --global --add safe.directory "$GITHUB_WORKSPACE"',
    });
  return ended;
}
