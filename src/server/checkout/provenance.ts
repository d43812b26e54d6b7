import type { Settings } from '../../inputs/settings.js';
import type { Problem } from '../../lib/report.js';
import { exactCommit } from './exact-commit.js';
import { gitAnswer } from './local-git.js';

/**
 * Whose the code is that a run is about to deploy. GitHub hands out every commit of every fork under the name of the
 * repository that was forked, so that a SHA alone says nothing: a commit is this repository's own where one of its
 * branches or tags leads to it.
 */

export interface Provenance {
  refusals: Problem[];
  warnings: Problem[];
}

/** How a commit stands to the branches and tags of the repository. */
type Standing =
  | { kind: 'own' }
  /** The checkout has all branches and tags with their history, and none of them leads to it. */
  | { kind: 'foreign' }
  | { kind: 'not-shown'; why: string; next: string };

/**
 * Judges the commit that the servers are brought to, and the one whose migration files are in the checkout. An event
 * that carries a pull request or a workflow run says by itself whose code it brings, and outside of GitHub Actions a
 * person does: there nothing is judged. Never throws.
 */
export async function judgeProvenance(settings: Settings): Promise<Provenance> {
  const { run } = settings;
  const { repository } = run;
  const found: Provenance = { refusals: [], warnings: [] };
  if (run.event === undefined || run.headOf !== undefined || repository === undefined) return found;
  for (const sha of await commitsOf(settings)) {
    const standing = await standingOf(sha, settings, repository);
    const short = sha.slice(0, 12);
    if (standing.kind === 'foreign')
      found.refusals.push({
        message: `commit ${short} is in no branch or tag of ${repository}: it may come from a fork`,
        next: 'Deploy what is merged. If a branch or tag has it by now, check out again with fetch-depth: 0.',
      });
    if (standing.kind === 'not-shown')
      found.warnings.push({
        message: `it is not known whether commit ${short} is in a branch or tag of ${repository}, or comes from a fork: ${standing.why}`,
        next: standing.next,
      });
  }
  return found;
}

/**
 * The commits whose code a run brings, and none where it writes nothing. One that cannot be told is refused by the phase
 * that needs it.
 */
async function commitsOf(settings: Settings): Promise<Set<string>> {
  const { mode, vps, database, workingDirectory } = settings;
  const commits = new Set<string>();
  if (vps?.ref !== undefined && (mode === 'deploy' || mode === 'redeploy')) {
    const sha = await exactCommit(vps.ref, workingDirectory).catch(() => undefined);
    if (sha !== undefined) commits.add(sha);
  }
  // Where migrations do not lie in a checkout, there is no commit that they are of.
  const runsFiles =
    database !== undefined && (mode === 'deploy' || mode === 'migrate' || mode === 'rollback');
  const head = runsFiles && (await answer(['rev-parse', '--verify', '--quiet', 'HEAD^{commit}'], settings));
  if (head) commits.add(head);
  return commits;
}

async function standingOf(sha: string, settings: Settings, repository: string): Promise<Standing> {
  const { run } = settings;
  // GitHub started the run at this commit, as the newest of that branch or tag.
  if (sha === run.sha && run.branchOrTag !== undefined) return { kind: 'own' };
  const fetched = 'Check out with fetch-depth: 0: then all branches and tags are known.';
  const origin = await answer(['config', '--get', 'remote.origin.url'], settings);
  if (origin === undefined)
    return { kind: 'not-shown', why: 'working-directory is no checkout of it', next: fetched };
  const own = [`${run.serverUrl}/${repository}`, settings.vps?.repositoryUrl ?? []].flat();
  if (!own.some((url) => isSameRepository(url, origin)))
    return {
      kind: 'not-shown',
      why: 'working-directory is a checkout of another repository',
      next: 'Where it is the one that the servers fetch from, name it in repository-url.',
    };
  const refs = ['refs/remotes/origin/', 'refs/tags/'];
  const containing = await answer(
    ['for-each-ref', '--count=1', '--contains', sha, '--format=x', ...refs],
    settings,
  );
  if (containing) return { kind: 'own' };
  if (await hasAllBranches(settings)) return { kind: 'foreign' };
  return { kind: 'not-shown', why: 'the checkout does not have all of them', next: fetched };
}

/** True for a checkout with its whole history that was told to fetch all branches, and has fetched some. */
async function hasAllBranches(settings: Settings): Promise<boolean> {
  const shallow = await answer(['rev-parse', '--is-shallow-repository'], settings);
  const told = await answer(['config', '--get-all', 'remote.origin.fetch'], settings);
  const fetched = await answer(['for-each-ref', '--count=1', '--format=x', 'refs/remotes/origin/'], settings);
  const all = told?.split('\n').includes('+refs/heads/*:refs/remotes/origin/*') ?? false;
  return shallow === 'false' && all && fetched === 'x';
}

/** What git says in the checkout, without the last newline; undefined where it does not end with 0. */
async function answer(words: readonly string[], { workingDirectory }: Settings): Promise<string | undefined> {
  return (await gitAnswer(words, workingDirectory))?.trim();
}

/** The addresses of one repository differ by protocol, user, port and ending. Pure. */
export function isSameRepository(one: string, other: string): boolean {
  const plain = (url: string): string =>
    url
      .trim()
      .replace(/^[a-z+]+:\/\//i, '')
      .replace(/^[^@/]*@/, '')
      .replace(/^([^/:]+):(\d+\/)?/, (_, host: string) => `${host}/`)
      .replace(/\/+$/, '')
      .replace(/\.git$/, '')
      .toLowerCase();
  return plain(one) === plain(other);
}
