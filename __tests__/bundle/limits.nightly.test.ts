import assert from 'node:assert/strict';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { runBundle, temporaryFolder } from '../servers/entry-points.js';
import { type GitHubApi, startGitHubApi } from '../servers/github-api.js';
import { type PostgresServer, startPostgres } from '../servers/postgres.js';

const TOKEN = 'ghs_0123456789abcdefghijklmnopqrstuvwxyz';
const FILES = 4_000;
const folder = temporaryFolder();
let postgres: PostgresServer;
let api: GitHubApi;
before(async () => {
  [postgres, api] = await Promise.all([startPostgres(), startGitHubApi(TOKEN)]);
});
after(async () => {
  folder.remove();
  await Promise.all([postgres.stop(), api.close()]);
});

test('row 124: outputs, summary and comment of 4,000 pending files are cut by us, stay JSON, and the cuts are told', async () => {
  const migrations = join(folder.path, 'supabase/migrations');
  mkdirSync(migrations, { recursive: true });
  for (let index = 0; index < FILES; index++) {
    const version = 20_250_101_000_000 + index;
    writeFileSync(join(migrations, `${version}_t.sql`), `create table t_${index} (id int primary key);\n`);
  }
  let report = { planned: [] as string[] };
  const repo = { full_name: 'octocat/hotel' };
  const result = await runBundle({
    workspace: folder.path,
    token: TOKEN,
    event: { pull_request: { number: 7, head: { repo }, base: { repo } } },
    env: { GITHUB_EVENT_NAME: 'pull_request', GITHUB_API_URL: api.url },
    inputs: { mode: 'plan', skip: 'vps', 'database-url': await postgres.createDatabase() },
    onLine: (line) => {
      // The runner's temp folder goes with the run, so the file is read while it lives.
      if (line.startsWith('report: ')) report = JSON.parse(readFileSync(line.slice(8), 'utf8'));
    },
  });
  assert.equal(result.exitCode, 0, result.log.slice(-2_000));
  const pending = JSON.parse(result.outputs.pending!) as string[];
  assert.ok(pending.length > 3_000 && pending.length < FILES, String(pending.length));
  const told = `output pending holds ${pending.length} of ${FILES} entries; the report file has all of them.`;
  assert.ok(result.log.split('\n').includes(told), result.log.slice(-2_000));
  const [comment] = api.comments;
  const shown = comment!.body.split('\n').filter((line) => line.includes('pending   ')).length;
  assert.ok(
    shown > 1_000 && shown < FILES,
    `${shown} files in a comment of ${comment!.body.length} characters`,
  );
  assert.match(comment!.body, /<\/pre>\n\n\d+ more lines are in the report file\.\n$/);
  assert.equal(report.planned.length, FILES);
  assert.ok(result.summary.length > 1_000 && Buffer.byteLength(result.summary) <= 1_000_000);
});
