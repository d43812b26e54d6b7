import type { CommittedFile } from '../../worker/protocol.js';
import { gitAnswer } from './local-git.js';

/** More are not sent: a look is to take seconds. */
const MOST_FILES = 20_000;

/**
 * The files that a commit adds to the live one, by the checkout of this job; all that it has where that does not know the
 * live commit. A text says why neither can be told.
 */
export async function addedFiles(
  { from, to }: { from: string; to: string },
  workingDirectory: string,
): Promise<CommittedFile[] | string> {
  const answer = (...words: string[]): Promise<string | undefined> => gitAnswer(words, workingDirectory);
  const added = await answer('diff-tree', '-r', '-z', '--no-renames', '--diff-filter=A', from, to);
  const whole = added === undefined ? await answer('ls-tree', '-r', '-z', '--full-tree', to) : undefined;
  const files = added !== undefined ? readAdded(added) : whole === undefined ? undefined : readTree(whole);
  if (files === undefined) return 'the checkout of this job does not have the commit';
  return files.length > MOST_FILES ? `the commit has more than ${MOST_FILES} files to compare` : files;
}

/** `:<mode> <mode> <id> <id> A`, then the path: pairs. Pure. */
function readAdded(output: string): CommittedFile[] {
  const parts = output.split('\0');
  const files: CommittedFile[] = [];
  for (let at = 0; at + 1 < parts.length; at += 2) {
    const [, mode = '', , id = ''] = parts[at]!.split(' ');
    files.push({ path: parts[at + 1]!, mode, id });
  }
  return files;
}

/** `<mode> <type> <id>`, a tab, the path. Pure. */
function readTree(output: string): CommittedFile[] {
  return output
    .split('\0')
    .filter((entry) => entry !== '')
    .map((entry) => {
      const tab = entry.indexOf('\t');
      const [mode = '', , id = ''] = entry.slice(0, tab).split(' ');
      return { path: entry.slice(tab + 1), mode, id };
    });
}
