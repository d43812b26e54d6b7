import { join } from 'node:path';
import { Failure } from '../../lib/report.js';
import type { CommittedFile, FetchRequest } from '../protocol.js';
import { present } from './files.js';
import { type Ended, explainEnd, lastLines } from './run-program.js';
import { call, must, type Toolbox, versionOf } from './toolbox.js';

/** Git on one repository of the host. Never pulls, never looks at a branch: commits are named by their full SHA. */
export interface GitRepository {
  readonly tools: Toolbox;
  /** The checkout or the bare repository. */
  readonly folder: string;
}

// A host without access must fail, not ask; and a look writes nothing: git would write its index anew, and could not on a
// full disk.
const GIT_ENV = { GIT_TERMINAL_PROMPT: '0', GIT_OPTIONAL_LOCKS: '0', LC_ALL: 'C' };

/** For hosts that have not set their own: must fail, not ask, also where the remote is silent. */
const SSH_COMMAND = 'ssh -o BatchMode=yes -o ConnectTimeout=15';

/** Hooks of the host's own checkout are meant for the people who work there, not for what is done here. */
function words(repository: GitRepository, args: readonly string[]): string[] {
  return ['git', '-c', 'core.hooksPath=/dev/null', '-C', repository.folder, ...args];
}

/** The oldest git that is worked with: that of Ubuntu 20.04. What is younger is used where it is there, and done without. */
export const OLDEST_GIT = '2.25';

/** The files of a commit, by their paths. Submodules and symlinks are among them, by their modes. */
export async function filesOfCommit(
  repository: GitRepository,
  sha: string,
): Promise<Map<string, CommittedFile>> {
  const entries = await listed(repository, 'ls-tree', '-r', '-z', '--full-tree', sha);
  return new Map(
    entries.map((entry) => {
      const tab = entry.indexOf('\t');
      const [mode = '', , id = ''] = entry.slice(0, tab).split(' ');
      const path = entry.slice(tab + 1);
      return [path, { path, mode, id }];
    }),
  );
}

/** The paths that git looks after in a checkout. */
export async function trackedPaths(repository: GitRepository): Promise<string[]> {
  return listed(repository, 'ls-files', '-z');
}

const versions = new WeakMap<Toolbox, Promise<string | undefined>>();

/** The version of the host's git, such as `2.25.1`; undefined where there is none. It is asked once. */
export function gitVersion(tools: Toolbox): Promise<string | undefined> {
  const known = versions.get(tools) ?? versionOf(tools, 'git');
  versions.set(tools, known);
  return known;
}

/** True where a version such as `2.25.1` is `least` (such as `2.25`) or newer. Pure. */
export function isGitSince(version: string, least: string): boolean {
  const [major = 0, minor = 0] = version.split('.').map(Number);
  const [wantedMajor = 0, wantedMinor = 0] = least.split('.').map(Number);
  return major > wantedMajor || (major === wantedMajor && minor >= wantedMinor);
}

/** True where the host's git has what came with the version `least`. */
async function knows({ tools }: GitRepository, least: string): Promise<boolean> {
  const version = await gitVersion(tools);
  return version !== undefined && isGitSince(version, least);
}

/** True where another ref than `own` leads to a commit. */
export async function isReachedWithout(
  repository: GitRepository,
  sha: string,
  own: string,
): Promise<boolean> {
  const refs = await git(repository, 'for-each-ref', '--format=%(refname)', '--contains', sha);
  return refs.split('\n').some((ref) => ref !== '' && ref !== own);
}

/** Output of a git command that is expected to succeed, without the last newline. */
export async function git(repository: GitRepository, ...args: string[]): Promise<string> {
  const env = { ...repository.tools.env, ...GIT_ENV };
  return (await must(repository.tools, words(repository, args), { env })).replace(/\n$/, '');
}

/** How a git command ended that may well fail; what it says is in English, whatever the host speaks. */
export function tryGit(repository: GitRepository, ...args: string[]): Promise<Ended> {
  const env = { ...repository.tools.env, ...GIT_ENV };
  return call(repository.tools, words(repository, args), { env });
}

/** True where the git command ends with 0. */
export async function gitSays(repository: GitRepository, ...args: string[]): Promise<boolean> {
  return (await tryGit(repository, ...args)).code === 0;
}

export async function headOf(repository: GitRepository): Promise<string> {
  return git(repository, 'rev-parse', '--verify', 'HEAD^{commit}');
}

export function hasCommit(repository: GitRepository, sha: string): Promise<boolean> {
  return gitSays(repository, 'cat-file', '-e', `${sha}^{commit}`);
}

/** True where `older` is in the history of `newer`, and not the same commit. */
export async function isAncestor(repository: GitRepository, older: string, newer: string): Promise<boolean> {
  return older !== newer && (await gitSays(repository, 'merge-base', '--is-ancestor', older, newer));
}

/** True where git knows the folder as a checkout of its own, and not as a part of one around it. */
export async function isWorkTree(repository: GitRepository): Promise<boolean> {
  return (
    present(join(repository.folder, '.git')) && gitSays(repository, 'rev-parse', '--verify', '-q', 'HEAD')
  );
}

/** The output of a git command that separates paths with NUL. */
async function listed(repository: GitRepository, ...args: string[]): Promise<string[]> {
  return (await git(repository, ...args)).split('\0').filter(Boolean);
}

/** Runs a git command on many paths, which it reads from its stdin. */
async function onPaths(
  repository: GitRepository,
  paths: readonly string[],
  args: readonly string[],
): Promise<Ended> {
  const env = { ...repository.tools.env, ...GIT_ENV };
  const input = paths.map((path) => `${path}\0`).join('');
  return call(repository.tools, words(repository, args), { env, input });
}

function mustHaveEnded(command: string, ended: Ended): void {
  if (ended.code !== 0)
    throw new Failure({ message: `git ${command} ${explainEnd(ended)}: ${lastLines(ended.tail, 3)}` });
}

/** Tracked files with local changes. REVISION is ours where a repository happens to track it. */
export async function dirtyFiles(repository: GitRepository): Promise<string[]> {
  const out = await git(repository, 'status', '--porcelain=v1', '-z', '--untracked-files=no', '--no-renames');
  return porcelainPaths(out).filter((path) => path !== 'REVISION');
}

/** Paths that one commit adds (`A`) to another, or deletes (`D`). */
export function changedPaths(
  repository: GitRepository,
  kind: 'A' | 'D',
  from: string,
  to: string,
): Promise<string[]> {
  return listed(repository, 'diff', '--name-only', '--no-renames', `--diff-filter=${kind}`, '-z', from, to);
}

/** A file takes whole blocks of a disk; bytes. */
const BLOCK = 4_096;

/** Bytes on the disk of the files that differ between two commits: those of the one that has more of them. */
export async function changedBytes(repository: GitRepository, from: string, to: string): Promise<number> {
  const raw = await listed(repository, 'diff', '--raw', '--no-abbrev', '--no-renames', '-z', from, to);
  // `:100644 100644 <old> <new> M`, then the path; only zeros where a side has no such file.
  const records = raw.filter((word) => word.startsWith(':')).map((record) => record.split(' '));
  const [before, after] = await Promise.all(
    [2, 3].map((at) =>
      bytesOf(
        repository,
        records.map((r) => r[at]!),
      ),
    ),
  );
  return Math.max(before!, after!);
}

async function bytesOf(repository: GitRepository, objects: readonly string[]): Promise<number> {
  if (objects.length === 0) return 0;
  const env = { ...repository.tools.env, ...GIT_ENV };
  const input = objects.map((object) => `${object}\n`).join('');
  const args = ['cat-file', '--batch-check=%(objectsize)'];
  const out = await must(repository.tools, words(repository, args), { env, input });
  // What is not there (a submodule, the other side of a new file) has no number.
  return out
    .split('\n')
    .filter((line) => /^\d+$/.test(line))
    .reduce((sum, line) => sum + Math.ceil(Number(line) / BLOCK) * BLOCK, 0);
}

/** Those of the paths that the ignore rules of the checkout name, tracked or not. */
export async function ignoredPaths(repository: GitRepository, paths: readonly string[]): Promise<string[]> {
  if (paths.length === 0) return [];
  const ended = await onPaths(repository, paths, ['check-ignore', '--no-index', '-z', '--stdin']);
  // 1: none of them is ignored.
  if (ended.code !== 1) mustHaveEnded('check-ignore', ended);
  return ended.stdout.split('\0').filter(Boolean);
}

/**
 * Lets git see which files of a checkout are as it left them. What changed in owner or time alone would be written anew
 * by `reset --hard`, and fail where this user may not; commands that only read do not say it (GIT_OPTIONAL_LOCKS).
 */
export async function refreshIndex(repository: GitRepository): Promise<void> {
  const ended = await tryGit(repository, 'update-index', '-q', '--refresh');
  // 1: some files did change.
  if (ended.code !== 1) mustHaveEnded('update-index --refresh', ended);
}

/** Lets git forget files of a checkout without touching them; those that it does not know are left out. */
export async function untrack(repository: GitRepository, paths: readonly string[]): Promise<void> {
  if (paths.length === 0) return;
  const ended = await onPaths(repository, paths, ['update-index', '--force-remove', '-z', '--stdin']);
  mustHaveEnded('update-index', ended);
}

/**
 * Tracked files that differ from the commit, and which git was told not to look at (`update-index --skip-worktree`,
 * `--assume-unchanged`): no status shows them. A sparse checkout marks in the same way what it leaves out.
 */
export async function hiddenChanges(repository: GitRepository): Promise<string[]> {
  const marked = (await listed(repository, 'ls-files', '-v', '-z'))
    .filter((line) => /^[Sa-z] /.test(line))
    .map((line) => line.slice(2))
    .filter((path) => present(join(repository.folder, path)));
  const changed: string[] = [];
  for (const path of marked) {
    const [, stored] = (await git(repository, 'ls-files', '-s', '-z', '--', `:(literal)${path}`)).split(' ');
    if (stored !== (await git(repository, 'hash-object', '--', path))) changed.push(path);
  }
  return changed;
}

/** Tracked files that differ from the checked-out commit, deleted ones too. */
export function changedFiles(repository: GitRepository): Promise<string[]> {
  return listed(repository, 'diff', '--name-only', '--no-renames', '--ignore-submodules', '-z', 'HEAD');
}

/** The paths in the output of `git status --porcelain=v1 -z`; of a rename the new path. */
export function porcelainPaths(output: string): string[] {
  const fields = output.split('\0');
  const paths: string[] = [];
  for (let index = 0; index < fields.length; index++) {
    const field = fields[index]!;
    if (field.length < 4) continue;
    paths.push(field.slice(3));
    if (/^[RC]/.test(field)) index++;
  }
  return paths;
}

/** True where git tracks the path, or files below it. */
export async function isTracked(repository: GitRepository, path: string): Promise<boolean> {
  return (await git(repository, 'ls-files', '-z', '--', path)) !== '';
}

/** Untracked paths, ignored or not; folders of them as one path that ends with `/`. */
export async function untrackedPaths(repository: GitRepository): Promise<string[]> {
  return listed(repository, 'ls-files', '-z', '--others', '--directory', '--no-empty-directory');
}

/**
 * One address to fetch from; with the job's token where the host's own access may not be enough. `withheld`: the token
 * would open it, and was not given.
 */
export interface FetchSource {
  url: string;
  token?: string;
  withheld?: true;
}

/** The host's own access is not enough, and the job's token, which would open the remote, was not given. */
export class TokenNeeded extends Failure {}

/**
 * The addresses to try in turn: the host's own access first, then https with the job's token, where that is the
 * server which issued it.
 */
export function fetchAttempts(origin: string | undefined, request: FetchRequest): FetchSource[] {
  const url = request.repositoryUrl ?? origin ?? request.jobRepositoryUrl;
  if (url === undefined) return [];
  const https = httpsForm(url);
  const { fetchAccess } = request;
  if (https === undefined || fetchAccess === undefined || !isOn(fetchAccess.server, https)) return [{ url }];
  const { token } = fetchAccess;
  return [{ url }, { url: https, ...(token === undefined ? { withheld: true } : { token }) }];
}

function isOn(server: string, url: string): boolean {
  return URL.canParse(url) && URL.canParse(server) && new URL(url).origin === new URL(server).origin;
}

/** `git@host:owner/name.git` and `ssh://git@host/owner/name` as https; undefined for anything that has no such form. */
export function httpsForm(url: string): string | undefined {
  if (url.startsWith('https://')) return url;
  const scp = /^(?:[\w.-]+@)?([\w.-]+):(?!\/)([^\s]+)$/.exec(url);
  if (scp && !url.includes('://')) return `https://${scp[1]}/${scp[2]}`;
  const ssh = /^ssh:\/\/(?:[\w.-]+@)?([\w.-]+)(?::\d+)?\/([^\s]+)$/.exec(url);
  return ssh ? `https://${ssh[1]}/${ssh[2]}` : undefined;
}

/**
 * Git settings in the environment: they live as long as the one call, and are not seen in `ps`. `counted`: git knows the
 * variables that are meant for that (2.31). Older ones have the one through which git hands `-c` on to what it starts.
 */
export function tokenEnvironment({ url, token }: FetchSource, counted: boolean): Record<string, string> {
  if (token === undefined) return {};
  const key = `http.${new URL(url).origin}/.extraheader`;
  const value = `Authorization: Basic ${Buffer.from(`x-access-token:${token}`).toString('base64')}`;
  return counted
    ? { GIT_CONFIG_COUNT: '1', GIT_CONFIG_KEY_0: key, GIT_CONFIG_VALUE_0: value }
    : { GIT_CONFIG_PARAMETERS: `'${key}=${value}'` };
}

/**
 * The environment for a git command that talks to a remote. A host that reaches it over SSH in its own way (a deploy
 * key in core.sshCommand or GIT_SSH_COMMAND) is left to it: git takes the variable before the setting.
 */
async function remoteEnvironment(repository: GitRepository, source: FetchSource): Promise<NodeJS.ProcessEnv> {
  const { env } = repository.tools;
  const own = env.GIT_SSH_COMMAND ?? env.GIT_SSH ?? (await setting(repository, 'core.sshCommand'));
  return {
    ...env,
    ...GIT_ENV,
    ...(own === undefined ? { GIT_SSH_COMMAND: SSH_COMMAND } : {}),
    ...tokenEnvironment(source, await knows(repository, '2.31')),
  };
}

/** A git setting as it holds in the repository; undefined where it is not set. */
export async function setting(repository: GitRepository, name: string): Promise<string | undefined> {
  const ended = await tryGit(repository, 'config', '--get', name);
  return ended.code === 0 ? ended.stdout.replace(/\n$/, '') : undefined;
}

/** Lets a repository of our own reach its remote over SSH as another repository of the host does. */
export async function reachRemoteLike(repository: GitRepository, other: GitRepository): Promise<void> {
  const own = await setting(other, 'core.sshCommand');
  if (own !== undefined) await git(repository, 'config', 'core.sshCommand', own);
}

/** Where to fetch from, one after the other. @throws a Failure where nothing is known. */
export async function fetchSources(repository: GitRepository, request: FetchRequest): Promise<FetchSource[]> {
  const attempts = fetchAttempts(await originOf(repository), request);
  if (attempts.length > 0) return attempts;
  throw new Failure({
    message: 'The repository on the server has no origin to fetch from.',
    next: 'Give repository-url.',
  });
}

/** The address of the repository's origin; undefined where it has none. */
export async function originOf(repository: GitRepository): Promise<string | undefined> {
  const ended = await tryGit(repository, 'remote', 'get-url', 'origin');
  return ended.code === 0 ? ended.stdout.replace(/\n$/, '') : undefined;
}

/**
 * Asks the first source that answers for its branches and tags: whether one of them ends in the commit. Writes
 * nothing. @throws a Failure where no source answers; TokenNeeded where one was left out.
 */
export async function askRemote(
  repository: GitRepository,
  sha: string,
  sources: readonly FetchSource[],
  signal: AbortSignal,
): Promise<{ source: FetchSource; isTip: boolean }> {
  let said = '';
  for (const source of sources) {
    if (source.withheld) throw new TokenNeeded(noAccess(said).problems);
    const env = await remoteEnvironment(repository, source);
    const list = words(repository, ['ls-remote', '--quiet', source.url]);
    const ended = await call(repository.tools, list, { env, signal });
    if (ended.code === 0)
      return { source, isTip: ended.stdout.split('\n').some((line) => line.startsWith(`${sha}\t`)) };
    said = ended.tail;
  }
  throw noAccess(said);
}

/**
 * Brings one commit into the repository's objects, without touching any branch or file, and keeps it by a ref of
 * our own. @throws a Failure that tells a missing commit from a missing access; TokenNeeded where a source was left out.
 */
export async function fetchCommit(
  repository: GitRepository,
  sha: string,
  sources: readonly FetchSource[],
  signal: AbortSignal,
  wanted: Wanted = 'everything',
): Promise<void> {
  let said = '';
  for (const source of sources) {
    if (source.withheld) throw new TokenNeeded(noAccess(said).problems);
    said = await fetchFrom(repository, sha, source, signal, wanted);
    if (await hasCommit(repository, sha)) {
      await git(repository, 'update-ref', `refs/deploys/${sha}`, sha);
      return;
    }
    if (isMissingCommit(said)) break;
  }
  throw isMissingCommit(said) ? missingCommit(sha) : noAccess(said);
}

function missingCommit(sha: string): Failure {
  return new Failure({
    message: `The commit ${sha} is not on the remote.`,
    next: 'Push it, or name another one with ref. After a force-push the old commit may be gone.',
  });
}

function noAccess(said: string): Failure {
  return new Failure({
    message: `The server cannot fetch from its remote: ${firstFatal(said)}`,
    next: 'Give the server a deploy key, or repository-url with https and github-token, which is then used for this one fetch.',
  });
}

/** True for a clone that has a part of the history only. */
export async function isShallow(repository: GitRepository): Promise<boolean> {
  return (await git(repository, 'rev-parse', '--is-shallow-repository')) === 'true';
}

/**
 * A commit with its files, history and the tags of the remote (for builds that call `git describe`), the commits of its
 * history alone, or no more than tells whether the remote has it.
 */
type Wanted = 'everything' | 'its history' | 'its existence';

/** What git said; empty where the fetch succeeded. */
async function fetchFrom(
  repository: GitRepository,
  sha: string,
  source: FetchSource,
  signal: AbortSignal,
  wanted: Wanted,
): Promise<string> {
  const env = await remoteEnvironment(repository, source);
  const commitsOnly = wanted === 'everything' ? [] : ['--filter=tree:0'];
  // Tags that people have are not moved. A clone with a part of the history would get much of the rest with them.
  const tags = wanted === 'everything' && !(await isShallow(repository)) ? ['refs/tags/*:refs/tags/*'] : [];
  // Where git is older, it leaves the file FETCH_HEAD.
  const quietly = (await knows(repository, '2.29')) ? ['--no-write-fetch-head'] : [];
  const fetch = (options: readonly string[], what: string) =>
    call(
      repository.tools,
      words(repository, ['fetch', '--no-tags', ...quietly, ...options, source.url, what, ...tags]),
      { env, signal },
    );
  const exact = await fetch(wanted === 'its existence' ? ['--depth=1', ...commitsOnly] : commitsOnly, sha);
  if (exact.code === 0) return '';
  if (!isMissingCommit(exact.tail)) return exact.tail;
  // Some servers hand out only what a branch or tag leads to: its whole history, then, to find the commit in it.
  const all = await fetch(commitsOnly, '+refs/heads/*:refs/deploys/heads/*');
  return all.code === 0 ? exact.tail : all.tail;
}

export function isMissingCommit(said: string): boolean {
  return /not our ref|couldn't find remote ref|unadvertised object|did not send all necessary objects|no such ref/i.test(
    said,
  );
}

function firstFatal(said: string): string {
  const lines = said.split('\n').map((line) => line.trim());
  return (
    lines.find((line) => /^(fatal|error|ERROR):/.test(line)) ?? lines.find(Boolean) ?? 'git said nothing'
  );
}
