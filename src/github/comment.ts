import type { Settings } from '../settings/settings.js';
import { type ApiOptions, withApi } from './api.js';

/** GitHub takes no longer comment. Characters. */
export const COMMENT_LIMIT = 65_000;

/** The first line of our comment, invisible in the page: how the next run finds it again. */
function marker(environment: string | undefined): string {
  return `<!-- muva-deploy plan ${(environment ?? '').replace(/[^\w./ -]/g, '')} -->`;
}

/** True where this run should keep a comment: a plan on a pull request of the repository itself. */
export function wantsComment(settings: Settings): boolean {
  return settings.mode === 'plan' && settings.comment === 'auto' && settings.run.pullRequest !== undefined;
}

/** Writes the plan into the one comment of this pull request and environment. */
export async function updateComment(
  options: ApiOptions,
  settings: Settings,
  markdown: string,
): Promise<void> {
  const issue_number = settings.run.pullRequest!;
  if (settings.run.fork) {
    const text = 'The plan is in the job summary only: the token of a fork cannot comment.';
    options.log({ kind: 'line', text });
    return;
  }
  const mark = marker(settings.environment);
  const body = `${mark}\n${markdown}`;
  const errand = { what: 'Plan comment not written', permission: 'pull-requests: write' };
  await withApi(options, errand, async ({ rest, paginate, owner, repo }) => {
    const comments = await paginate(rest.issues.listComments, { owner, repo, issue_number, per_page: 100 });
    // At its very start, so that a person's quote of the comment is never taken for it.
    const ours = comments.find((comment) => comment.body?.startsWith(mark));
    if (ours) await rest.issues.updateComment({ owner, repo, comment_id: ours.id, body });
    else await rest.issues.createComment({ owner, repo, issue_number, body });
  });
}
