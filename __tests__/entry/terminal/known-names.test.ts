import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { connectionsFor, workflowOf } from '../../../src/entry/terminal/known-names.js';
import { type WorkflowFacts, workflowFacts } from '../../../src/entry/terminal/workflow-facts.js';

const workflow = (names: string[], more: Partial<WorkflowFacts> = {}): WorkflowFacts => ({
  ...{ file: '.github/workflows/ci.yml', branches: [], environments: [], names },
  ...more,
});
const taken = (environment: string, ...names: string[]): Record<string, string> =>
  Object.fromEntries(connectionsFor(environment, [workflow(names)]).map(({ input, from }) => [input, from]));

describe('names that people have', () => {
  test('the word of the environment stands in front, behind or in the middle', () => {
    assert.equal(taken('staging', 'secrets.STAGING_VPS_HOST')['ssh-host'], 'secrets.STAGING_VPS_HOST');
    assert.equal(taken('staging', 'secrets.VPS_HOST_STG')['ssh-host'], 'secrets.VPS_HOST_STG');
    assert.equal(taken('production', 'secrets.PROD_SSH_KEY')['ssh-private-key'], 'secrets.PROD_SSH_KEY');
    const api = taken('staging', 'vars.SUPABASE_STAGING_PROJECT_ID', 'secrets.SUPABASE_ACCESS_TOKEN');
    assert.equal(api['supabase-project-ref'], 'vars.SUPABASE_STAGING_PROJECT_ID');
    assert.ok(!('database-url' in api));
  });

  test('of another environment nothing is taken, and its own word wins over none', () => {
    assert.equal(taken('staging', 'secrets.PROD_VPS_HOST')['ssh-host'], 'vars.VPS_HOST');
    const both = taken('production', 'vars.VPS_HOST', 'vars.PRODUCTION_VPS_HOST');
    assert.equal(both['ssh-host'], 'vars.PRODUCTION_VPS_HOST');
    assert.equal(taken('staging', 'secrets.STAGING_URL')['health-url'], 'secrets.STAGING_URL');
  });

  test('what is missing is named as the others are', () => {
    const prefixed = taken('production', 'secrets.PROD_VPS_HOST', 'vars.VPS_FINGERPRINT');
    assert.equal(prefixed['ssh-fingerprint'], 'vars.VPS_FINGERPRINT');
    assert.equal(prefixed['database-url'], 'secrets.PROD_DATABASE_URL');
    assert.equal(taken('staging', 'secrets.VPS_HOST_STG')['ssh-user'], 'vars.VPS_USER');
  });

  test('known_hosts stand in for the fingerprint, and the token is left out where a URL is', () => {
    const names = taken(
      'staging',
      'secrets.SSH_KNOWN_HOSTS',
      'secrets.DATABASE_URL',
      'vars.SUPABASE_PROJECT_ID',
      'secrets.SUPABASE_ACCESS_TOKEN',
    );
    assert.deepEqual(Object.keys(names), [
      'database-url',
      'ssh-host',
      'ssh-user',
      'ssh-private-key',
      'ssh-known-hosts',
      'health-url',
    ]);
  });
});

describe('the workflow of an environment', () => {
  test('by its job, its file, or its names', () => {
    const job = workflow([], { environments: ['Staging'] });
    const file = workflow([], { file: '.github/workflows/deploy-staging.yml' });
    const named = workflow(['secrets.STAGING_X']);
    assert.equal(workflowOf('staging', [named, file, job]), job);
    assert.equal(workflowOf('staging', [named, file]), file);
    assert.equal(workflowOf('staging', [named]), named);
    assert.equal(workflowOf('production', [named, file, job]), undefined);
  });

  test('what it says: names in expressions, branches without patterns, environments, a port beside a host', () => {
    const facts = workflowFacts('a.yml', {
      on: { push: { branches: ['main', 'release/**'] } },
      jobs: {
        a: {
          environment: { name: 'staging' },
          steps: [{ with: { host: '$' + '{{ secrets.HOST || vars.X }}', port: 2222 } }],
        },
        b: { environment: '$' + '{{ inputs.env }}', env: { A: '$' + '{{ vars.A }} $' + '{{ github.sha }}' } },
      },
    });
    assert.deepEqual(facts, {
      file: 'a.yml',
      names: ['secrets.HOST', 'vars.A'],
      branches: ['main'],
      environments: ['staging'],
      port: '2222',
    });
    assert.deepEqual(workflowFacts('b.yml', null), {
      file: 'b.yml',
      names: [],
      branches: [],
      environments: [],
    });
  });
});
