import { renameSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { quote } from '../../lib/shell.js';
import { freeReserve } from '../host/disk-reserve.js';
import { present, removePath, writeAtomically } from '../host/files.js';
import { type GitRepository, git, refreshIndex, untrack } from '../host/git.js';
import { freeIndex } from '../host/git-index-lock.js';
import { copyAsItIs, makeFoldersLike } from '../host/permissions.js';
import type { Toolbox } from '../host/toolbox.js';
import { bringBackChanges, trackAsTheyAre } from '../host-files/local-changes.js';
import { layOver } from '../host-files/rebuilt-files.js';
import {
  applyAdoption,
  applyShares,
  applySwaps,
  completeShares,
  type Plan,
  turnLink,
  undoSwaps,
} from '../state/plan.js';

/** Puts the new release in place: everything that changes on the disk at a cutover, and nothing else. */
export async function applyCutoverPlan(tools: Toolbox, plan: Plan): Promise<void> {
  if (plan.adopt) applyAdoption(plan.adopt);
  if (plan.shares) applyShares(plan.shares);
  applySwaps(plan.swaps);
  if (plan.checkout) await turnCheckout(tools, plan.checkout, 'to');
  if (plan.link) turnLink(plan.link.path, plan.link.to);
}

/** Puts everything back to where it was before the plan, wherever it was cut. An adopted checkout stays a release. */
export async function undoCutoverPlan(tools: Toolbox, plan: Plan): Promise<void> {
  if (plan.adopt) {
    // Until the checkout has become a release, all is where it was.
    if (!present(plan.adopt.release)) return;
    applyAdoption(plan.adopt);
  }
  if (plan.shares) completeShares(plan.shares);
  undoSwaps(plan.swaps);
  if (plan.checkout) await turnCheckout(tools, plan.checkout, 'from');
  if (!plan.link) return;
  if (plan.link.from !== undefined) turnLink(plan.link.path, plan.link.from);
  else removePath(plan.link.path);
}

/** Applies a plan also where the disk is full: then once more, with the room that the run holds. */
export async function bringInPlace(tools: Toolbox, plan: Plan): Promise<void> {
  await withDiskReserve(() => applyCutoverPlan(tools, plan));
}

/** Undoes a plan also where the disk is full, which may be why the cutover failed. */
export async function takeBack(tools: Toolbox, plan: Plan): Promise<void> {
  await withDiskReserve(() => undoCutoverPlan(tools, plan));
}

/** What programs say of a full disk has no code, so whatever failed is tried again, if there is room to give back. */
async function withDiskReserve(work: () => Promise<void>): Promise<void> {
  try {
    await work();
  } catch (error) {
    if (!freeReserve()) throw error;
    await work();
  }
}

/**
 * Turns a checkout to one of its two commits. git deletes what it tracks and the other commit does not, and overwrites
 * what that tracks: files of the host are taken from its index, or laid aside as long as it works.
 */
async function turnCheckout(
  tools: Toolbox,
  turn: NonNullable<Plan['checkout']>,
  to: 'from' | 'to',
): Promise<void> {
  const { folder, aside } = turn;
  const { rebuilt, host, changes } = turn[to];
  const checkout: GitRepository = { tools, folder };
  await freeIndex(checkout);
  await layAside(tools, turn, host);
  await untrack(checkout, turn.untrack);
  if (to === 'to') await trackAsTheyAre(checkout, turn.takenOver ?? []);
  await refreshIndex(checkout);
  await git(checkout, 'reset', '-q', '--hard', to === 'to' ? turn.toSha : turn.fromSha);
  for (const path of host) {
    if (!present(join(aside, path))) continue;
    await makeFoldersLike(tools, aside, folder, path);
    renameSync(join(aside, path), join(folder, path));
  }
  removePath(aside);
  layOver(rebuilt.folder, folder, rebuilt.paths);
  if (changes) await bringBackChanges(checkout, changes);
  writeAtomically(join(folder, 'REVISION'), `${to === 'to' ? turn.toSha : turn.fromSha}\n`, 0o644);
}

/** Copies files that git will overwrite. What an earlier try laid aside stays: the checkout may be git's already. */
async function layAside(
  tools: Toolbox,
  { folder, aside }: Pick<NonNullable<Plan['checkout']>, 'folder' | 'aside'>,
  paths: readonly string[],
): Promise<void> {
  for (const path of paths) {
    if (!present(join(folder, path)) || present(join(aside, path))) continue;
    await makeFoldersLike(tools, folder, aside, path);
    await copyAsItIs(tools, join(folder, path), join(aside, path));
  }
}

/** The commands by which a person brings the release `to` of a plan in place, after everything else has failed. */
export function manualCommands(plan: Plan, to: 'from' | 'to', restart: string): string[] {
  const commands: string[] = [];
  if (plan.adopt) {
    const [folder, release] = [quote(plan.adopt.folder), quote(plan.adopt.release)];
    commands.push(`[ -L ${folder} ] || [ ! -d ${folder} ] || mv ${folder} ${release}`);
  }
  for (const swap of plan.swaps) {
    if (to === 'from' && !swap.had) {
      commands.push(`[ -e ${quote(swap.incoming)} ] || mv ${quote(swap.live)} ${quote(swap.incoming)}`);
      continue;
    }
    const [away, back] = to === 'to' ? [swap.kept, swap.incoming] : [swap.incoming, swap.kept];
    commands.push(
      `[ ! -e ${quote(back)} ] || { [ ! -e ${quote(swap.live)} ] || mv ${quote(swap.live)} ${quote(away)}; mv ${quote(back)} ${quote(swap.live)}; }`,
    );
  }
  if (plan.checkout) commands.push(...turnCommands(plan.checkout, to));
  const target = to === 'to' ? plan.link?.to : plan.link?.from;
  if (plan.link && target !== undefined) commands.push(`ln -sfn ${quote(target)} ${quote(plan.link.path)}`);
  commands.push(restart);
  return commands;
}

/** The same as `turnCheckout`, for a person. */
function turnCommands(turn: NonNullable<Plan['checkout']>, to: 'from' | 'to'): string[] {
  const { folder, aside, untrack } = turn;
  const { rebuilt, host, changes } = turn[to];
  const git = `git -C ${quote(folder)}`;
  const copy = (from: string, target: string): string =>
    `mkdir -p ${quote(dirname(target))} && cp -pP ${quote(from)} ${quote(target)}`;
  return [
    ...host.map(
      (path) =>
        `[ -e ${quote(join(aside, path))} ] || (umask 077 && ${copy(join(folder, path), join(aside, path))})`,
    ),
    ...untrack.map((path) => `${git} rm -q --cached --ignore-unmatch -- ${quote(path)}`),
    ...(to === 'to' ? (turn.takenOver ?? []) : []).map((path) => `${git} add -f -- ${quote(path)}`),
    `${git} reset --hard ${to === 'to' ? turn.toSha : turn.fromSha}`,
    ...host.map((path) => copy(join(aside, path), join(folder, path))),
    ...rebuilt.paths.map((path) =>
      present(join(rebuilt.folder, path))
        ? copy(join(rebuilt.folder, path), join(folder, path))
        : `rm -f ${quote(join(folder, path))}`,
    ),
    ...(changes ? [`${git} apply --whitespace=nowarn ${quote(changes.patch)}`] : []),
  ];
}
