import { join } from 'node:path';
import { quote } from '../base/shell.js';
import { present, remove, writeAtomically } from './files.js';
import { git, type Repository } from './git.js';
import { applyAdoption, applyShares, applySwaps, type Plan, turnLink, undoSwaps } from './plan.js';
import type { Toolbox } from './toolbox.js';

/** Puts the new release in place: everything that changes on the disk at a cutover, and nothing else. */
export async function applyPlan(tools: Toolbox, plan: Plan): Promise<void> {
  if (plan.adopt) applyAdoption(plan.adopt);
  if (plan.shares) applyShares(plan.shares);
  applySwaps(plan.swaps);
  if (plan.checkout) await resetCheckout(tools, plan.checkout.folder, plan.checkout.toSha);
  if (plan.link) turnLink(plan.link.path, plan.link.to);
}

/** Puts everything back to where it was before the plan, wherever it was cut. An adopted checkout stays a release. */
export async function undoPlan(tools: Toolbox, plan: Plan): Promise<void> {
  if (plan.adopt) {
    // Until the checkout has become a release, all is where it was.
    if (!present(plan.adopt.release)) return;
    applyAdoption(plan.adopt);
  }
  if (plan.shares) applyShares(plan.shares);
  undoSwaps(plan.swaps);
  if (plan.checkout) await resetCheckout(tools, plan.checkout.folder, plan.checkout.fromSha);
  if (!plan.link) return;
  if (plan.link.from !== undefined) turnLink(plan.link.path, plan.link.from);
  else remove(plan.link.path);
}

async function resetCheckout(tools: Toolbox, folder: string, sha: string): Promise<void> {
  const checkout: Repository = { tools, folder };
  // A git that was killed leaves its lock; we hold the application's lock, so no deploy can be at work here.
  const lock = join(folder, '.git/index.lock');
  if (present(lock)) remove(lock);
  await git(checkout, 'reset', '-q', '--hard', sha);
  writeAtomically(join(folder, 'REVISION'), `${sha}\n`, 0o644);
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
  if (plan.checkout) {
    const sha = to === 'to' ? plan.checkout.toSha : plan.checkout.fromSha;
    commands.push(`git -C ${quote(plan.checkout.folder)} reset --hard ${sha}`);
  }
  const target = to === 'to' ? plan.link?.to : plan.link?.from;
  if (plan.link && target !== undefined) commands.push(`ln -sfn ${quote(target)} ${quote(plan.link.path)}`);
  commands.push(restart);
  return commands;
}
