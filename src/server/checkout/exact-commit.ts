import type { Settings } from '../../inputs/settings.js';
import { definedOnly } from '../../lib/defined-only.js';
import { Failure } from '../../lib/report.js';
import { localGit } from './local-git.js';

/** One thing that a ref can stand for in the checkout of this job. */
interface Meaning {
  /** As a person calls it, such as `the branch main`. */
  name: string;
  /** The ref or commit that says it and nothing else. */
  exact: string;
  sha: string;
}

/** As short as git makes a commit's SHA by itself. Fewer digits are a name. */
const SHORTEST_SHA = 7;

/**
 * The full SHA of a commit, branch or tag, resolved in the checkout of this job: what is deployed is one exact
 * commit, and never what a branch has become meanwhile. 40 hex digits are always the commit. Throws a Failure where the
 * checkout does not have it, and where it can mean two things: whoever may push a branch chooses its name, and must not
 * choose by it what a tag or a short SHA stands for.
 */
export async function exactCommit(ref: string, workingDirectory: string): Promise<string> {
  if (/^[0-9a-f]{40}$/i.test(ref)) return ref.toLowerCase();
  if (ref === 'HEAD') return (await commitOf('HEAD', workingDirectory)) ?? unknown(ref);
  const named = await namedSo(ref, workingDirectory);
  if (isShortSha(ref)) {
    const commits = await commitsThatBegin(ref, workingDirectory);
    if (named.length > 0) throw likeAShortSha(ref, named, commits);
    if (commits.length > 1) throw severalMeanings(ref, commits);
    return commits[0]?.sha ?? unknown(ref);
  }
  if (new Set(named.map(({ sha }) => sha)).size > 1) throw severalMeanings(ref, named);
  return named[0]?.sha ?? unknown(ref);
}

/**
 * The settings with the commit in place of its name, so that all that follows means the same one. As they are where it
 * cannot be told: the phase that needs it says why, with everything else that is wrong.
 */
export async function withExactCommit(settings: Settings): Promise<Settings> {
  const { vps, workingDirectory } = settings;
  if (settings.mode === 'verify' || settings.mode === 'status' || vps?.ref === undefined) return settings;
  const ref = await exactCommit(vps.ref, workingDirectory).catch(() => vps.ref);
  return { ...settings, vps: { ...vps, ...definedOnly({ ref }) } };
}

function isShortSha(ref: string): boolean {
  return new RegExp(`^[0-9a-f]{${SHORTEST_SHA},39}$`, 'i').test(ref);
}

/** The branches and tags of the checkout that a name can mean, each by its full name. */
async function namedSo(ref: string, folder: string): Promise<Meaning[]> {
  const names = fullNames(ref);
  // A pattern is a name or the beginning of one, up to a slash.
  const { stdout } = await localGit(
    ['for-each-ref', '--format=%(refname) %(objectname)', ...new Set(names.map(({ full }) => full))],
    folder,
  );
  const objects = new Map(
    stdout
      .split('\n')
      .filter((line) => line !== '')
      .map((line) => line.split(' ') as [string, string]),
  );
  const found: Meaning[] = [];
  for (const { full, name, exact } of names) {
    const object = objects.get(full);
    // The remote's branch of a name is what this machine's own branch of it was made from.
    if (object === undefined || found.some((other) => other.exact === exact)) continue;
    const sha = await commitOf(object, folder);
    if (sha !== undefined) found.push({ name, exact, sha });
  }
  return found;
}

/**
 * The full names that a ref can have, nearest first. Full ones are asked for, because git itself goes on to look for
 * `refs/tags/refs/heads/main` and the like where there is no `refs/heads/main`. Pure.
 */
function fullNames(ref: string): { full: string; name: string; exact: string }[] {
  const branch = (name: string) => {
    const said = { name: `the branch ${name}`, exact: `refs/heads/${name}` };
    return [
      { full: `refs/remotes/origin/${name}`, ...said },
      { full: `refs/heads/${name}`, ...said },
    ];
  };
  const tag = (name: string) => [
    { full: `refs/tags/${name}`, name: `the tag ${name}`, exact: `refs/tags/${name}` },
  ];
  const rest = (full: string) => [{ full, name: full, exact: full }];
  const within = (prefix: string): string | undefined =>
    ref.startsWith(prefix) ? ref.slice(prefix.length) : undefined;
  const [heads, tags] = [within('refs/heads/'), within('refs/tags/')];
  if (heads !== undefined) return branch(heads);
  if (tags !== undefined) return tag(tags);
  if (ref.startsWith('refs/')) return rest(ref);
  // What git takes for a name as well: `origin/main`, `heads/main`, `tags/v1`.
  const [ofRemote, ofHeads, ofTags] = [within('origin/'), within('heads/'), within('tags/')];
  return [
    ...branch(ref),
    ...tag(ref),
    ...(ofRemote === undefined ? rest(`refs/remotes/${ref}`) : branch(ofRemote)),
    ...(ofHeads === undefined ? [] : branch(ofHeads)),
    ...(ofTags === undefined ? [] : tag(ofTags)),
  ];
}

/** The commit that an object (its full SHA) or HEAD leads to; undefined where it is none. */
async function commitOf(object: string, folder: string): Promise<string | undefined> {
  const { code, stdout } = await localGit(['rev-parse', '--verify', '--quiet', `${object}^{commit}`], folder);
  const sha = stdout.trim();
  return code === 0 && /^[0-9a-f]{40}$/.test(sha) ? sha : undefined;
}

/** The commits of the checkout whose SHA begins so. Other objects may begin so as well, and mean nothing here. */
async function commitsThatBegin(short: string, folder: string): Promise<Meaning[]> {
  const { stdout } = await localGit(['rev-parse', `--disambiguate=${short.toLowerCase()}`], folder);
  const commits: Meaning[] = [];
  for (const sha of stdout.split('\n').filter((line) => line !== '')) {
    const { stdout: kind } = await localGit(['cat-file', '-t', sha], folder);
    if (kind.trim() === 'commit') commits.push({ name: `the commit ${sha}`, exact: sha, sha });
  }
  return commits;
}

function severalMeanings(ref: string, meanings: readonly Meaning[]): Failure {
  const all = meanings.map(({ name, sha }) => (name.endsWith(sha) ? name : `${name} (${sha.slice(0, 12)})`));
  return new Failure({
    message: `ref ${JSON.stringify(ref)} ${meanings.length === 2 ? 'means two things' : 'means several things'}: ${all.join(', ')}`,
    next: `Say which: ${[...new Set(meanings.map(({ exact }) => exact))].join(', ')}, or a full commit SHA.`,
  });
}

function likeAShortSha(ref: string, named: readonly Meaning[], commits: readonly Meaning[]): Failure {
  const all = [...named, ...commits];
  if (commits.length > 0) return severalMeanings(ref, all);
  const [{ name, sha, exact }] = all as [Meaning];
  return new Failure({
    message: `ref ${JSON.stringify(ref)} reads as a short commit SHA, and is the name of ${name} (${sha.slice(0, 12)})`,
    next: `Say which: ${exact}, or the full commit SHA.`,
  });
}

function unknown(ref: string): never {
  throw new Failure({
    message: `ref ${JSON.stringify(ref)} is not a commit of the checkout in working-directory`,
    next: 'Give the full commit SHA, or check out with fetch-depth: 0 so that branches and tags are known.',
  });
}
