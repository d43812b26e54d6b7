import assert from 'node:assert/strict';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { text } from 'node:stream/consumers';
import { after, before, describe, test } from 'node:test';
import { findPgDumps, withDump } from '../../src/database/backup/pg-dump.js';
import { mainBranch } from '../../src/entry/terminal/git-repository.js';
import { parseDatabaseUrl } from '../../src/inputs/checks/database-url.js';
import { programEnvironment, runProgram } from '../../src/lib/local-programs.js';
import { exactCommit } from '../../src/server/checkout/exact-commit.js';
import { packBuild } from '../../src/server/checkout/pack-build.js';
import { type Origin, startOrigin } from '../servers/origin.js';

/** What the job's `env:` and the runner hold; each value is one that no program may see. */
const SECRETS: Record<string, string> = {
  DATABASE_URL: 'postgresql://u:canary-1@db.example/x',
  VPS_SSH_KEY: '-----BEGIN OPENSSH PRIVATE KEY-----\ncanary-2\n-----END OPENSSH PRIVATE KEY-----',
  DEPLOY_ENV_FILE: 'STRIPE_KEY=canary-3',
  GITHUB_TOKEN: 'canary-4',
  GH_TOKEN: 'canary-5',
  ACTIONS_RUNTIME_TOKEN: 'canary-6',
  ACTIONS_ID_TOKEN_REQUEST_TOKEN: 'canary-7',
  SUPABASE_ACCESS_TOKEN: 'canary-8',
  PROD_DB_PASSWORD: 'canary-9',
  PGPASSWORD: 'canary-10',
  'INPUT_SSH-PRIVATE-KEY': 'canary-11',
  NPM_CONFIG__AUTH: 'canary-12',
};

describe('programs of this machine', () => {
  let origin: Origin;
  let work: string;
  let bin: string;
  let head: string;
  const path = process.env.PATH!;
  before(() => {
    origin = startOrigin({ 'package.json': '{}', '.gitignore': 'dist\n' });
    head = origin.head();
    work = mkdtempSync(join(tmpdir(), 'muva-programs-'));
    bin = mkdtempSync(join(tmpdir(), 'muva-bin-'));
    origin.git('clone', '-q', origin.url, work);
    // The real programs, behind one that writes down what it was told.
    for (const name of ['git', 'tar', 'pg_dump']) {
      const real =
        name === 'pg_dump' ? 'echo "pg_dump (PostgreSQL) 17.2"' : `PATH='${path}' exec ${name} "$@"`;
      const script = `#!/bin/sh\nenv >> '${bin}/${name}.seen'\n${real}\n`;
      writeFileSync(join(bin, name), script, { mode: 0o755 });
    }
    Object.assign(process.env, SECRETS, { PATH: `${bin}${delimiter}${path}` });
  });
  after(() => {
    process.env.PATH = path;
    for (const name of Object.keys(SECRETS)) delete process.env[name];
    origin?.stop();
    for (const folder of [work, bin]) rmSync(folder, { recursive: true, force: true });
  });

  test('row 131: git, tar and pg_dump see no secret of the job', async () => {
    await exactCommit('main', work);
    await mainBranch(work);
    writeFileSync(join(work, 'dist'), 'built');
    await packBuild({
      workingDirectory: work,
      sha: head,
      buildOutput: [],
      sharedPaths: [],
      folder: bin,
      signal: new AbortController().signal,
    });
    const [pgDump] = (await findPgDumps(bin)).filter((found) => found.path === join(bin, 'pg_dump'));
    const parsed = parseDatabaseUrl('postgresql://me:its-own-password@127.0.0.1:5432/x');
    assert.ok(pgDump && 'address' in parsed);
    const order = {
      pgDump,
      address: parsed.address,
      caCertificate: undefined,
      what: 'full' as const,
      platform: 'absent' as const,
      lockTimeout: 1,
    };
    await withDump(
      { ...order, signal: new AbortController().signal },
      async (output) => void (await text(output)),
    );

    const seen = readdirSync(bin).filter((name) => name.endsWith('.seen'));
    assert.deepEqual(seen.sort(), ['git.seen', 'pg_dump.seen', 'tar.seen']);
    for (const name of seen) {
      const environment = readFileSync(join(bin, name), 'utf8');
      assert.match(environment, /^PATH=/m, name);
      assert.deepEqual(environment.match(/canary-\d+/g) ?? [], [], name);
    }
    assert.match(readFileSync(join(bin, 'pg_dump.seen'), 'utf8'), /^PGPASSWORD=its-own-password$/m);
  });

  test('messages are in English, characters those of the machine', () => {
    assert.deepEqual(programEnvironment({ LC_ALL: 'de_DE.UTF-8', LANG: 'C', LANGUAGE: 'de', X: '1' }), {
      LANG: 'C',
      LC_CTYPE: 'de_DE.UTF-8',
      LC_MESSAGES: 'C',
    });
    assert.deepEqual(programEnvironment({ LC_CTYPE: 'a', PATH: '/bin' }, { OWN: '1' }), {
      PATH: '/bin',
      LC_CTYPE: 'a',
      LC_MESSAGES: 'C',
      OWN: '1',
    });
  });

  test('one that ends badly is told by its code, one that cannot be started by an error', async () => {
    const ended = await runProgram(['sh', '-c', 'echo out; echo wrong >&2; exit 3']);
    assert.deepEqual(ended, { code: 3, stdout: 'out\n', stderr: 'wrong\n' });
    assert.equal((await runProgram(['sh', '-c', 'kill -9 $$'])).code, null);
    await assert.rejects(runProgram([join(work, 'missing')]), /ENOENT/);
    await assert.rejects(runProgram(['sleep', '60'], { signal: AbortSignal.timeout(50) }), {
      name: 'AbortError',
    });
    assert.equal((await runProgram(['sleep', '60'], { timeout: 50 })).code, null);
  });
});
