import { createHash } from 'node:crypto';
import type { Settings } from '../inputs/settings.js';
import type { Report } from '../lib/report.js';
import { type FilePlaces, fromWorkspace } from '../report/summary/file-places.js';
import { inlineCode, markdownLink } from '../report/summary/markdown.js';
import { summaryOf } from '../report/summary/summary.js';
import { commitLink } from '../report/summary/tables.js';
import { type Api, type ApiOptions, withApi } from './api.js';

/** GitHub takes no longer comment. Characters. */
const COMMENT_LIMIT = 65_000;

/**
 * The first line of our comment, invisible in the page: how the next run finds it again. One for each application and
 * environment; hashed, because names may hold anything.
 */
function marker({ environment, files, vps }: Settings, project: string): string {
  const which = [environment, project, files.migrationsDir, vps?.appName, vps?.appPath];
  const text = JSON.stringify(which.map((part) => part ?? ''));
  return `<!-- muva-deploy plan ${createHash('sha256').update(text).digest('hex').slice(0, 20)} -->`;
}

/** True where this run should keep a comment: a plan on a pull request of the repository itself. */
export function wantsComment(settings: Settings): boolean {
  return settings.mode === 'plan' && settings.comment === 'auto' && settings.run.pullRequest !== undefined;
}

/** Writes the plan into the one comment of this pull request, application and environment. */
export async function commentPlan(
  options: ApiOptions,
  settings: Settings,
  report: Report,
  places: FilePlaces,
): Promise<void> {
  const origin = commentOrigin(settings, places);
  const around = { run: settings.run, places, origin, language: settings.language };
  await updateComment(options, settings, places, summaryOf(report, around, COMMENT_LIMIT));
}

/** Which application, commit and run a comment is about, as Markdown: it stays when the next commit comes. */
function commentOrigin({ run, vps }: Settings, places: FilePlaces): string {
  const project = fromWorkspace('.', places);
  const sha = run.pullRequestHead ?? run.sha;
  return [
    ...(project === '' ? [] : [inlineCode(project)]),
    ...(vps === undefined ? [] : [inlineCode(vps.appName)]),
    ...(sha === undefined ? [] : [`commit ${commitLink(sha, run)}`]),
    `run ${markdownLink(run.id, run.url)}, attempt ${run.attempt}`,
  ].join(' · ');
}

/** Writes Markdown into that comment, or makes it. */
export async function updateComment(
  options: ApiOptions,
  settings: Settings,
  places: FilePlaces,
  markdown: string,
): Promise<void> {
  const issue_number = settings.run.pullRequest!;
  if (settings.run.fork) {
    const text = 'The plan is in the job summary only: the token of a fork cannot comment.';
    options.log({ kind: 'line', text });
    return;
  }
  const mark = marker(settings, fromWorkspace('.', places));
  const body = `${mark}\n${markdown}`;
  const errand = { what: 'Plan comment not written', permission: 'pull-requests: write' };
  await withApi(options, errand, async (api) => {
    const { rest, owner, repo } = api;
    const comment_id = await ourComment(api, issue_number, mark);
    if (comment_id === undefined) await rest.issues.createComment({ owner, repo, issue_number, body });
    else await rest.issues.updateComment({ owner, repo, comment_id, body });
  });
}

/**
 * The comment that an earlier run wrote. Anybody who may comment can begin one with our first line, so it counts only
 * where its author is the token's own user.
 */
async function ourComment(api: Api, issue_number: number, mark: string): Promise<number | undefined> {
  const { rest, paginate, owner, repo } = api;
  const all = await paginate(rest.issues.listComments, { owner, repo, issue_number, per_page: 100 });
  // At its very start, so that a person's quote of the comment is never taken for it.
  const marked = all.filter(({ body }) => body?.startsWith(mark));
  if (marked.length === 0) return undefined;
  const us = await ownId(api);
  return marked.find(({ user }) => user?.id === us)?.id;
}

/** Who the token writes as. The REST API answers that to persons only, and not to the token of a job or an app. */
async function ownId({ graphql }: Api): Promise<number> {
  const { viewer } = await graphql<{ viewer: { databaseId: number } }>('query { viewer { databaseId } }');
  return viewer.databaseId;
}
