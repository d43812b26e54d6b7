import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, test } from 'node:test';
import { parse } from 'yaml';
import { init } from '../../src/terminal/init.js';

interface Workflow {
  concurrency: { group: string };
  jobs: { deploy: { environment: string; steps: { uses: string; with: Record<string, string> }[] } };
}

describe('muva-deploy init', () => {
  let folder: string;
  let said: string;
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'muva-init-'));
    said = '';
  });
  afterEach(() => rmSync(folder, { recursive: true, force: true }));

  const run = (words: string[], ask?: (question: string) => Promise<string>): Promise<number> =>
    init(words, {
      folder,
      write: (text) => {
        said += text;
      },
      ...(ask ? { ask } : {}),
    });
  const written = (environment: string): Workflow =>
    parse(readFileSync(join(folder, `.github/workflows/deploy-${environment}.yml`), 'utf8')) as Workflow;

  test('flags become inputs of the step, and connections come from secrets and variables', async () => {
    const code = await run([
      '--app-path',
      '/var/www/hotel',
      '--app-name',
      'hotel',
      '--rls=all',
      '--backup',
      'full',
    ]);
    assert.equal(code, 0, said);
    const { environment, steps } = written('staging').jobs.deploy;
    assert.equal(environment, 'staging');
    const inputs = steps[1]!.with;
    assert.equal(inputs['app-path'], '/var/www/hotel');
    assert.equal(inputs.rls, 'all');
    assert.equal(inputs.backup, 'full');
    assert.equal(inputs['database-url'], '$' + '{{ secrets.DATABASE_URL }}');
    assert.match(said, /VPS_FINGERPRINT[\s\S]*ssh-keygen -lf/);
  });

  test('what no flag says is asked for', async () => {
    const answers: Record<string, string> = {
      Environment: 'production',
      Folder: '/srv/hotel/app',
      Its: 'hotel',
      Tables: '',
    };
    const code = await run([], async (question) => answers[question.split(' ')[0]!]!);
    assert.equal(code, 0, said);
    const { deploy } = written('production').jobs;
    assert.equal(deploy.environment, 'production');
    assert.equal(deploy.steps[1]!.with['app-name'], 'hotel');
    assert.ok(!('required-tables' in deploy.steps[1]!.with));
  });

  test('what a deploy would refuse is refused now, all at once, and nothing is written', async () => {
    assert.equal(await run(['--app-path', 'www', '--app-name', 'all', '--rls', 'some']), 1);
    for (const name of ['app-path', 'app-name', 'rls']) assert.match(said, new RegExp(`^${name}: `, 'm'));
    assert.throws(() => written('staging'), /ENOENT/);
  });

  test('without a flag and without anyone to ask, it says what is missing', async () => {
    assert.equal(await run([]), 1);
    assert.match(said, /^app-path: is empty/m);
    assert.match(said, /^app-name: is empty/m);
  });

  test('a secret or a connection is kept out of the file', async () => {
    assert.equal(await run(['--database-url', 'postgresql://me:hush@127.0.0.1/x', '--ssh-host', 'web-1']), 1);
    assert.match(said, /^database-url: does not belong/m);
    assert.match(said, /^ssh-host: does not belong/m);
    assert.doesNotMatch(said, /hush/);
  });

  test('an existing file is left alone', async () => {
    const words = ['--app-path', '/var/www/hotel', '--app-name', 'hotel'];
    assert.equal(await run(words), 0);
    const before = written('staging');
    assert.equal(await run([...words, '--rls', 'off']), 1);
    assert.match(said, /deploy-staging\.yml exists already/);
    assert.deepEqual(written('staging'), before);
  });

  test('a value cannot break out of its place in the file', async () => {
    const words = [
      '--app-path',
      '/var/www/hotel',
      '--app-name',
      'hotel',
      '--install-command',
      'npm ci # "x"\n      - run: evil',
    ];
    assert.equal(await run(words), 0, said);
    const { steps } = written('staging').jobs.deploy;
    assert.equal(steps.length, 2);
    assert.equal(steps[1]!.with['install-command'], 'npm ci # "x"\n      - run: evil');
  });
});
