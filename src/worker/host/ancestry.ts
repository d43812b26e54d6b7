import { Cancelled } from '../../lib/report.js';
import type { FetchRequest } from '../protocol.js';
import { removePath } from './files.js';
import {
  type FetchSource,
  fetchCommit,
  fetchSources,
  type GitRepository,
  git,
  hasCommit,
  isAncestor,
  isShallow,
  reachRemoteLike,
  TokenNeeded,
} from './git.js';
import { scratchFolder } from './scratch-folder.js';
import type { Toolbox } from './toolbox.js';

/** Whether a commit is in the history of the live one; `unknown` where that history cannot be had. */
export type Older = 'yes' | 'no' | 'unknown';

export interface AncestryQuestion {
  tools: Toolbox;
  /** Where the commits and their history are looked for first; undefined where the host has none yet. */
  repository: GitRepository | undefined;
  sha: string;
  liveSha: string | undefined;
  request: FetchRequest;
  signal: AbortSignal;
}

/**
 * Says whether a commit is older than the live one. What a repository knows of history is true, but a shallow clone
 * knows only a part of it: then the commits that are missing are fetched into a scratch repository, which leaves the
 * clone as it is.
 */
export async function isOlder(question: AncestryQuestion): Promise<Older> {
  const { repository, sha, liveSha } = question;
  if (liveSha === undefined || liveSha === sha) return 'no';
  if (repository !== undefined) {
    const [knowsLive, knowsSha] = [await hasCommit(repository, liveSha), await hasCommit(repository, sha)];
    if (knowsLive && knowsSha) {
      if (await isAncestor(repository, sha, liveSha)) return 'yes';
      if (await isAncestor(repository, liveSha, sha)) return 'no';
    }
    if (knowsLive && !(await isShallow(repository))) return 'no';
  }
  return askHistory(question, liveSha);
}

/** Milliseconds for the history alone: commits without files, of which a second brings tens of thousands. */
const LONGEST = 60_000;

async function askHistory(question: AncestryQuestion, liveSha: string): Promise<Older> {
  const { tools, repository, sha, request, signal } = question;
  const from: GitRepository = repository ?? { tools, folder: tools.home };
  const folder = scratchFolder('history');
  const scratch: GitRepository = { tools, folder };
  const inTime = AbortSignal.any([signal, AbortSignal.timeout(LONGEST)]);
  try {
    const sources: FetchSource[] = await fetchSources(from, request);
    await git(scratch, 'init', '-q', '--bare');
    await reachRemoteLike(scratch, from);
    for (const commit of [liveSha, sha]) await fetchCommit(scratch, commit, sources, inTime, 'its history');
    return (await isAncestor(scratch, sha, liveSha)) ? 'yes' : 'no';
  } catch (error) {
    if (error instanceof TokenNeeded || (error instanceof Cancelled && signal.aborted)) throw error;
    return 'unknown';
  } finally {
    removePath(folder);
  }
}
