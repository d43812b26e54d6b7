import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { parse } from 'yaml';

interface Workflow {
  concurrency?: { group?: string; 'cancel-in-progress'?: boolean };
  jobs: Record<
    string,
    {
      concurrency?: Workflow['concurrency'];
      uses?: string;
      steps?: { uses?: string; with?: { mode?: string } }[];
    }
  >;
}

const paths = [
  ...readdirSync('examples')
    .filter((file) => file.endsWith('.yml'))
    .map((file) => join('examples', file)),
  '.github/workflows/deploy.yml',
];

test('row 121: in every example that writes, a waiting run may be replaced and a running one never is', () => {
  let writing = 0;
  for (const path of paths) {
    const { concurrency, jobs } = parse(readFileSync(path, 'utf8')) as Workflow;
    for (const job of Object.values(jobs)) {
      const steps = (job.steps ?? []).filter((step) => step.uses?.startsWith('muva/deploy-action@'));
      if (!steps.some((step) => step.with?.mode !== 'plan')) continue;
      writing += 1;
      const queue = job.concurrency ?? concurrency;
      assert.ok(queue?.group, `${path}: two runs could deploy at once`);
      assert.ok(queue['cancel-in-progress'] !== true, `${path}: a newer run would cancel a running deploy`);
    }
  }
  assert.ok(writing >= 5, `only ${writing} examples were looked at`);
});
