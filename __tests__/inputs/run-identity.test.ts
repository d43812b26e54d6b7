import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, test } from 'node:test';
import { runIdentity } from '../../src/inputs/run-identity.js';
import type { Run } from '../../src/inputs/settings.js';

const folder = mkdtempSync(join(tmpdir(), 'muva-event-'));
after(() => rmSync(folder, { recursive: true, force: true }));

function identity(event: string, payload: unknown, env: NodeJS.ProcessEnv = {}): Run {
  const file = join(folder, 'event.json');
  writeFileSync(file, typeof payload === 'string' ? payload : JSON.stringify(payload));
  return runIdentity({
    GITHUB_EVENT_NAME: event,
    GITHUB_EVENT_PATH: file,
    GITHUB_REPOSITORY: 'octocat/hotel',
    ...env,
  });
}

const repository = { full_name: 'octocat/hotel' };
const pull = (head: object | null | undefined): object => ({
  repository,
  pull_request: { number: 7, head: { sha: 'b'.repeat(40), repo: head }, base: { repo: repository } },
});
const workflowRun = (head: object | null | undefined): object => ({
  repository,
  workflow_run: { event: 'pull_request', head_sha: 'b'.repeat(40), head_repository: head, repository },
});
const OTHER = { full_name: 'stranger/hotel' };

describe('whose code an event brings', () => {
  const withPull = [
    'pull_request',
    'pull_request_target',
    'pull_request_review',
    'pull_request_review_comment',
    'an_event_of_next_year',
  ];
  for (const event of withPull)
    test(`row 148: ${event} is judged by its pull request`, () => {
      for (const head of [OTHER, null, undefined, {}])
        assert.deepEqual(
          [identity(event, pull(head)).fork, identity(event, pull(head)).headOf],
          [true, 'pull request'],
          JSON.stringify(head),
        );
      const own = identity(event, pull(repository));
      assert.deepEqual([own.fork, own.headOf, own.pullRequest], [false, 'pull request', 7]);
    });

  for (const event of ['workflow_run', 'deployment'])
    test(`row 148: ${event} is judged by its workflow run`, () => {
      for (const head of [OTHER, null, undefined])
        assert.deepEqual(
          [identity(event, workflowRun(head)).fork, identity(event, workflowRun(head)).headOf],
          [true, 'workflow run'],
        );
      const own = identity(event, workflowRun(repository));
      assert.deepEqual([own.fork, own.headOf], [false, 'workflow run']);
    });

  test('row 148: one that carries both must be of this repository in both', () => {
    assert.equal(identity('x', { ...pull(repository), ...workflowRun(OTHER) }).fork, true);
    assert.equal(identity('x', { ...pull(OTHER), ...workflowRun(repository) }).fork, true);
    assert.equal(identity('x', { ...pull(repository), ...workflowRun(repository) }).fork, false);
  });

  test('row 148: a repository that is a fork itself deploys its own pull requests', () => {
    const own = { full_name: 'octocat/hotel', fork: true };
    assert.equal(identity('pull_request', pull(own)).fork, false);
  });

  test('row 148: an event whose payload is missing or broken is none without a pull request', () => {
    for (const payload of ['', 'null', '[]', '{', '{"pull_request":null}'])
      for (const event of ['pull_request', 'pull_request_review', 'workflow_run'])
        assert.equal(identity(event, payload).fork, true, `${event} ${payload}`);
    assert.equal(runIdentity({ GITHUB_EVENT_NAME: 'workflow_run' }).fork, true);
  });

  test('events that carry neither say nothing of it', () => {
    for (const event of [
      'push',
      'workflow_dispatch',
      'schedule',
      'issue_comment',
      'merge_group',
      'release',
    ]) {
      const run = identity(event, { repository, issue: { number: 7, pull_request: { url: 'x' } } });
      assert.deepEqual([run.fork, run.headOf], [false, undefined], event);
    }
    assert.deepEqual([runIdentity({}).fork, runIdentity({}).headOf], [false, undefined]);
  });

  test('the branch or tag is known, and a merge that GitHub made for a pull request is neither', () => {
    const of = (ref: string): string | undefined => identity('push', {}, { GITHUB_REF: ref }).branchOrTag;
    assert.equal(of('refs/heads/main'), 'refs/heads/main');
    assert.equal(of('refs/tags/v1.0.0'), 'refs/tags/v1.0.0');
    assert.equal(of('refs/pull/7/merge'), undefined);
    assert.equal(of(''), undefined);
  });
});
