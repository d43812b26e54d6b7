import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, test } from 'node:test';
import { parse } from 'yaml';
import type { AskPerson } from '../../../src/entry/terminal/ask.js';
import { init } from '../../../src/entry/terminal/init.js';

interface Workflow {
  on: { push: { branches: string[] } };
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

  const run = (words: string[], ask?: AskPerson, place = ''): Promise<number> =>
    init(words, {
      folder: join(folder, place),
      write: (text) => {
        said += text;
      },
      ...(ask ? { ask } : {}),
    });
  const written = (name: string): Workflow =>
    parse(readFileSync(join(folder, `.github/workflows/deploy-${name}.yml`), 'utf8')) as Workflow;
  const git = (...words: string[]): void => {
    const { status, stderr } = spawnSync('git', ['-C', folder, ...words], { encoding: 'utf8' });
    assert.equal(status, 0, stderr);
  };
  const APP = ['--app-path', '/var/www/hotel', '--app-name', 'hotel'];

  test('flags become inputs of the step, and connections come from secrets and variables', async () => {
    const code = await run([...APP, '--rls=all', '--backup', 'full']);
    assert.equal(code, 0, said);
    const { environment, steps } = written('staging').jobs.deploy;
    assert.equal(environment, 'staging');
    const inputs = steps[1]!.with;
    assert.equal(inputs['app-path'], '/var/www/hotel');
    assert.equal(inputs.rls, 'all');
    assert.equal(inputs.backup, 'full');
    assert.equal(inputs['database-url'], '$' + '{{ secrets.DATABASE_URL }}');
    assert.match(said, /muva\/deploy-action@v1, which must exist[\s\S]*VPS_FINGERPRINT[\s\S]*ssh-keygen -lf/);
  });

  test('what no flag says is asked for', async () => {
    const answers: Record<string, string> = {
      Environment: 'production',
      Branch: '',
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
    for (const name of ['app-path', 'app-name', 'rls'])
      assert.match(said, new RegExp(`^error: ${name}: `, 'm'));
    assert.throws(() => written('staging'), /ENOENT/);
  });

  test('without a flag and without anyone to ask, it says what is missing', async () => {
    assert.equal(await run([]), 1);
    assert.match(said, /^error: app-path: is empty/m);
    assert.match(said, /^error: app-name: is empty/m);
  });

  test('a secret or a connection is kept out of the file', async () => {
    assert.equal(await run(['--database-url', 'postgresql://me:hush@127.0.0.1/x', '--ssh-host', 'web-1']), 1);
    assert.match(said, /^error: database-url: does not belong/m);
    assert.match(said, /^error: ssh-host: does not belong/m);
    assert.doesNotMatch(said, /hush/);
  });

  test('an existing file is left alone', async () => {
    assert.equal(await run(APP), 0);
    const before = written('staging');
    assert.equal(await run([...APP, '--rls', 'off']), 1);
    assert.match(said, /deploy-staging\.yml exists already/);
    assert.deepEqual(written('staging'), before);
  });

  test('a value cannot break out of its place in the file', async () => {
    assert.equal(await run([...APP, '--install-command', 'npm ci # "x"\n      - run: evil']), 0, said);
    const { steps } = written('staging').jobs.deploy;
    assert.equal(steps.length, 2);
    assert.equal(steps[1]!.with['install-command'], 'npm ci # "x"\n      - run: evil');
  });

  test('--help is of init, and writes nothing', async () => {
    assert.equal(await run(['--help']), 0);
    assert.match(said, /^Usage: muva-deploy init /);
    assert.ok(!existsSync(join(folder, '.github')));
  });

  test('no value is quoted where a word is wrong', async () => {
    assert.equal(await run([...APP, 'postgres://u:hush@h/db', '--zzzzzz=hush']), 1);
    assert.match(said, /^error: the word after the value of --app-name is one too many$/m);
    assert.match(said, /^error: --zzzzzz is not known$/m);
    assert.doesNotMatch(said, /hush/);
  });

  describe('in a repository', () => {
    test('below its root, the file is written at the root and names the folder', async () => {
      git('init', '--quiet');
      mkdirSync(join(folder, 'apps/web'), { recursive: true });
      assert.equal(await run(APP, undefined, 'apps/web'), 0, said);
      const { concurrency, jobs } = written('staging-apps-web');
      assert.equal(jobs.deploy.steps[1]!.with['working-directory'], 'apps/web');
      assert.equal(concurrency.group, 'deploy-staging-apps-web');
      assert.match(said, /^\.\.\/\.\.\/\.github\/workflows\/deploy-staging-apps-web\.yml is written/);
      assert.doesNotMatch(said, /No git repository/);
      // A second application of the same repository has a workflow of its own.
      assert.equal(await run([...APP, '--working-directory', '../api'], undefined, 'apps/web'), 0, said);
      assert.equal(written('staging-apps-api').jobs.deploy.steps[1]!.with['working-directory'], 'apps/api');
    });

    test('at its root, no folder is named; a folder outside is refused', async () => {
      // As in a worktree or a submodule, where .git is a file.
      writeFileSync(join(folder, '.git'), 'gitdir: /nowhere');
      assert.equal(await run([...APP, '--working-directory', '..']), 1);
      assert.match(said, /^error: working-directory: leads out of the repository$/m);
      assert.equal(await run([...APP, '--working-directory', '.']), 0, said);
      assert.ok(!('working-directory' in written('staging').jobs.deploy.steps[1]!.with));
    });

    const branch = (): string[] => written('staging').on.push.branches;

    test('the branch is what origin calls its own, whatever is checked out', async () => {
      git('init', '--quiet', '--initial-branch', 'work');
      git('symbolic-ref', 'refs/remotes/origin/HEAD', 'refs/remotes/origin/release/live');
      assert.equal(await run(APP), 0, said);
      assert.deepEqual(branch(), ['release/live']);
      assert.match(said, /is written; it runs on every push to release\/live\./);
    });

    test('without an origin it is the one checked out, and a flag wins', async () => {
      git('init', '--quiet', '--initial-branch', 'trunk');
      assert.equal(await run([...APP, '--environment', 'production', '--branch', 'live']), 0, said);
      assert.deepEqual(written('production').on.push.branches, ['live']);
      assert.equal(await run(APP), 0, said);
      assert.deepEqual(branch(), ['trunk']);
      assert.equal(await run([...APP, '--branch', 'a..b']), 1);
      assert.match(said, /^error: branch: /m);
    });

    test('outside of any it is main, and that GitHub will not read the file is told', async () => {
      assert.equal(await run(APP), 0, said);
      assert.deepEqual(branch(), ['main']);
      assert.match(said, /^No git repository was found here/m);
    });
  });

  describe('reads what is there', () => {
    const OLD = `name: Staging
on: { push: { branches: [staging] } }
jobs:
  deploy:
    runs-on: ubuntu-latest
    steps:
      - run: npx tsx scripts/migrate.ts
        env:
          DATABASE_URL: $\{{ secrets.STAGING_DATABASE_URL }}
      - uses: appleboy/ssh-action@v1
        with:
          host: $\{{ secrets.STAGING_VPS_HOST }}
          username: $\{{ secrets.STAGING_VPS_USER }}
          key: $\{{ secrets.STAGING_VPS_SSH_KEY }}
          port: 2222
          script: cd /var/www/hotel && git pull && npm ci && pm2 restart hotel
`;
    const put = (files: Record<string, string>): void => {
      for (const [name, text] of Object.entries(files)) {
        mkdirSync(join(folder, name, '..'), { recursive: true });
        writeFileSync(join(folder, name), text);
      }
    };
    const expression = (name: string): string => `$\{{ ${name} }}`;

    test('names, branch, port, PM2 entry, lock file, health route and migrations', async () => {
      git('init', '--quiet', '--initial-branch', 'main');
      put({
        '.github/workflows/staging.yml': OLD,
        '.github/workflows/prod.yml': OLD.replaceAll('STAGING', 'PROD').replace('[staging]', '[main]'),
        '.github/workflows/torn.yml': 'a: [',
        'ecosystem.config.js': `console.log('hello'); module.exports = { apps: [{ name: 'hotel', script: 'npm', args: 'start', cwd: '/var/www/hotel' }] };`,
        'package.json': '{}',
        'supabase/migrations/20250101000000_a.sql': 'select 1',
        'supabase/migrations/20250102000000_b.sql': 'select 1',
        'supabase/migrations/20250103000000_c.down.sql': 'select 1',
      });
      assert.equal(await run([]), 0, said);
      const { on, jobs } = written('staging');
      assert.deepEqual(on.push.branches, ['staging']);
      assert.deepEqual(jobs.deploy.steps[1]!.with, {
        environment: 'staging',
        'database-url': expression('secrets.STAGING_DATABASE_URL'),
        'ssh-host': expression('secrets.STAGING_VPS_HOST'),
        'ssh-user': expression('secrets.STAGING_VPS_USER'),
        'ssh-private-key': expression('secrets.STAGING_VPS_SSH_KEY'),
        'ssh-fingerprint': expression('vars.STAGING_VPS_FINGERPRINT'),
        'health-url': expression('vars.STAGING_HEALTH_URL'),
        'health-paths': '/',
        'ssh-port': '2222',
        'app-path': '/var/www/hotel',
        'app-name': 'hotel',
      });
      for (const words of [
        /\.github\/workflows\/staging\.yml deploys this environment too/,
        /There is no lock file: a deploy is refused/,
        /ecosystem\.config\.js starts "npm"/,
        /supabase\/migrations holds 2 migrations.*the baseline: line/,
        /No file speaks of \/api\/health/,
        /cli\.js plan[\s\S]*--app-path \/var\/www\/hotel/,
        /variable {2}STAGING_VPS_FINGERPRINT/,
      ])
        assert.match(said, words);
      assert.doesNotMatch(said, /secret +DATABASE_URL/);
      // Another environment has names and a branch of its own.
      assert.equal(await run(['--environment', 'production']), 0, said);
      const production = written('production');
      assert.deepEqual(production.on.push.branches, ['main']);
      assert.equal(production.jobs.deploy.steps[1]!.with['ssh-host'], expression('secrets.PROD_VPS_HOST'));
    });

    test('a route in the repository needs no health-paths, and a branch of the name is taken', async () => {
      git('init', '--quiet', '--initial-branch', 'main');
      git('-c', 'user.name=a', '-c', 'user.email=a@b.c', 'commit', '--quiet', '--allow-empty', '-m', 'x');
      git('branch', 'staging');
      put({
        'src/app/api/health/route.ts': '',
        'package.json': '{}',
        'package-lock.json': '{}',
        'yarn.lock': '',
      });
      assert.equal(await run(APP), 0, said);
      const { on, jobs } = written('staging');
      assert.deepEqual(on.push.branches, ['staging']);
      assert.ok(!('health-paths' in jobs.deploy.steps[1]!.with));
      assert.doesNotMatch(said, /health-paths/);
      assert.match(said, /There are 2 lock files \(package-lock\.json, yarn\.lock\)/);
    });

    test('a file that is there is shown as a difference, and replaced by --force alone', async () => {
      git('init', '--quiet', '--initial-branch', 'main');
      assert.equal(await run(APP), 0, said);
      assert.equal(await run([...APP, '--rls', 'off']), 1);
      assert.match(said, /next: Say --force to replace it/);
      assert.match(said, /^\+ {10}rls: "off"$/m);
      assert.ok(!('rls' in written('staging').jobs.deploy.steps[1]!.with));
      assert.equal(await run([...APP, '--rls', 'off', '--force']), 0, said);
      assert.equal(written('staging').jobs.deploy.steps[1]!.with.rls, 'off');
    });

    test('what is found is told and offered; Enter takes it', async () => {
      git('init', '--quiet', '--initial-branch', 'main');
      put({
        '.github/workflows/staging.yml': OLD,
        'ecosystem.config.cjs': `module.exports = { apps: [{ name: 'hotel', cwd: '/var/www/hotel' }] };`,
      });
      const asked: string[] = [];
      const ask: AskPerson = async (question) => {
        asked.push(question);
        return '';
      };
      assert.equal(await run([], ask), 0, said);
      assert.deepEqual(asked.slice(0, 4), [
        'Environment (such as staging, production) [staging]: ',
        'Branch whose pushes are deployed to it [staging]: ',
        'Folder of the application on the server, such as /var/www/app [/var/www/hotel]: ',
        'Its name in `pm2 list` [hotel]: ',
      ]);
      assert.match(said, /^Found: \.github\/workflows\/staging\.yml \(secrets\.STAGING_DATABASE_URL/m);
    });
  });

  describe('questions', () => {
    /** Answers in order; undefined leaves. */
    const answers = (...list: (string | undefined)[]): { ask: AskPerson; asked: string[] } => {
      const asked: string[] = [];
      const ask: AskPerson = async (question) => {
        asked.push(question.split(' ')[0]!);
        return list[asked.length - 1];
      };
      return { ask, asked };
    };

    test('a wrong answer is told and asked for again, and the right ones are kept', async () => {
      const { ask, asked } = answers('staging', 'main', 'www/hotel', '/var/www/hotel', '', 'hotel', '');
      assert.equal(await run([], ask), 0, said);
      assert.deepEqual(asked, ['Environment', 'Branch', 'Folder', 'Folder', 'Its', 'Its', 'Tables']);
      assert.match(said, /^error: app-path: is not an absolute path\n {2}next: /m);
      assert.match(said, /^error: app-name: is empty/m);
      assert.equal(written('staging').jobs.deploy.steps[1]!.with['app-path'], '/var/www/hotel');
    });

    test('a file that exists is told before the other questions, and another environment takes its place', async () => {
      assert.equal(await run(APP), 0);
      const { ask, asked } = answers('', 'production', 'a..b', 'live', '/var/www/hotel', 'hotel', '');
      assert.equal(await run([], ask), 0, said);
      assert.deepEqual(asked, ['Environment', 'Environment', 'Branch', 'Branch', 'Folder', 'Its', 'Tables']);
      assert.equal(written('production').jobs.deploy.environment, 'production');
      assert.deepEqual(written('production').on.push.branches, ['live']);
    });

    test('wrong flags are told before anything is asked', async () => {
      const { ask, asked } = answers();
      assert.equal(await run(['--rls', 'some'], ask), 1);
      assert.match(said, /^error: rls: /m);
      assert.deepEqual(asked, []);
    });

    test('who leaves gets no file, no complaint, and the exit code of an interrupt', async () => {
      assert.equal(await run([], answers('staging', undefined).ask), 130);
      assert.equal(said, '\nNothing was written.\n');
      assert.ok(!existsSync(join(folder, '.github')));
    });
  });
});
