import assert from 'node:assert/strict';
import { mkdirSync, readdirSync, readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { runTerminal, type Terminal, temporaryFolder } from '../servers/entry-points.js';

const folder = temporaryFolder();
const site = createServer((request, response) => {
  if (request.url === '/hang') return;
  const page = request.url === '/';
  response.writeHead(200, { 'content-type': page ? 'text/html' : 'application/json' });
  response.end(page ? '<!doctype html><title>hotel</title>' : '{"status":"ok"}');
});
let url = '';
before(async () => {
  await new Promise<void>((done) => site.listen(0, '127.0.0.1', done));
  url = `http://127.0.0.1:${(site.address() as AddressInfo).port}`;
});
after(async () => {
  folder.remove();
  site.closeAllConnections();
  await new Promise((done) => site.close(done));
});

function muva(line: string, more: Partial<Parameters<typeof runTerminal>[1]> = {}): Promise<Terminal> {
  return runTerminal(line === '' ? [] : line.split(' '), { cwd: folder.path, ...more });
}

describe('the terminal entry point', () => {
  test('a good run prints the steps, a table, the report file, and exits with 0', async () => {
    const { exitCode, text } = await muva(`health --health-url ${url} --health-deadline=3s`);
    assert.equal(exitCode, 0, text);
    assert.match(text, /^ {2}passed {2}\/api\/health /m);
    assert.match(text, /^health {2}passed {2}\d+ ms {2}3 steps$/m);
    const report = JSON.parse(readFileSync(/^report: (.+)$/m.exec(text)![1]!, 'utf8'));
    assert.equal(report.outcome, 'success');
    assert.doesNotMatch(text, /::|\x1b/);
    // What a later rollback has to be told.
    const [, id] = /^muva-deploy health, run (local-\S+) attempt 1$/m.exec(text) ?? [];
    assert.deepEqual(
      [report['run-id'], report.attempt, report.commit, report.url],
      [id, 1, null, null],
      text,
    );
    assert.match(report.version, /^\d+\.\d+\.\d+/);
  });

  test('the environment variables of the contract stand in for flags, and a flag wins', async () => {
    const env = { HEALTH_URL: url };
    assert.equal((await muva('health', { env })).exitCode, 0);
    const lost = await muva('health --health-url=http://127.0.0.1:9 --health-deadline=500ms', { env });
    assert.equal(lost.exitCode, 1);
    assert.match(lost.text, /ECONNREFUSED/);
  });

  test('what is worth knowing of the inputs is told when the run begins, and stands in the report', async () => {
    const env = { SUPABASE_SERVICE_ROLE_KEY: 'service-key-0123456789' };
    const { exitCode, text } = await muva(`health --health-url ${url} --health-deadline=3s`, { env });
    assert.equal(exitCode, 0, text);
    assert.match(
      text,
      /warning: supabase-service-role-key: is not used: supabase-project-ref is empty[\s\S]*^health /m,
    );
    const report = JSON.parse(readFileSync(/^report: (.+)$/m.exec(text)![1]!, 'utf8'));
    assert.equal(report.warnings.length, 1);
    assert.equal(report.warnings[0].input, 'supabase-service-role-key');
  });

  test('wrong words, flags and values are refused together, before anything is done', async () => {
    const { exitCode, text } = await muva(
      'helth --app-nmae x --health-timeout 5 --environment staging --health-url http://127.0.0.1:9',
    );
    assert.equal(exitCode, 1);
    assert.match(text, /error: mode: the first word is not a mode\n {2}next: Did you mean "health"\?/);
    assert.match(text, /error: --app-nmae is not known\n {2}next: Did you mean --app-name\?/);
    assert.match(text, /error: health-timeout: "5" is not a duration/);
    const report = JSON.parse(readFileSync(/^report: (.+)$/m.exec(text)![1]!, 'utf8'));
    assert.equal(report.environment, 'staging');
  });

  test('without a mode it says how it is called, on standard error, and makes no report', async () => {
    const cwd = join(folder.path, 'no-mode');
    mkdirSync(cwd);
    const nothing = await muva('', { cwd });
    assert.equal(nothing.exitCode, 1);
    assert.match(nothing.errors, /^Usage: muva-deploy <mode>/);
    assert.match(nothing.errors, /^Modes: plan, migrate, .*; and init,/m);
    assert.doesNotMatch(nothing.text, /error|failed|database-url/);
    const flags = await muva('--app-name x', { cwd });
    assert.equal(flags.exitCode, 1);
    assert.match(flags.errors, /^error: mode: is missing\n {2}next: The modes are: .*muva-deploy init/);
    for (const { text, errors } of [nothing, flags]) assert.equal(text, errors);
    assert.deepEqual(readdirSync(cwd), []);
  });

  test('a rollback must be told what to undo', async () => {
    const rollback = await muva('rollback --database-url postgresql://u:p@127.0.0.1:9/x');
    assert.equal(rollback.exitCode, 1);
    assert.match(rollback.text, /run-id: is empty, and so is rollback-to/);
  });

  test('row 131: a key as a flag is taken whole, and no word in the wrong place is shown', async () => {
    const key =
      '-----BEGIN OPENSSH PRIVATE KEY-----\nb3BlbnNzaC1rZXk_of_the_hotel\n-----END OPENSSH PRIVATE KEY-----\n';
    const words = ['plan', '--skip', 'database', '--ssh-host', 'a b', '--ssh-private-key'];
    const whole = await runTerminal([...words, key], { cwd: folder.path });
    assert.equal(whole.exitCode, 1);
    assert.match(whole.text, /error: ssh-host: entry 1 /);
    assert.doesNotMatch(whole.text, /no value|is not known|_of_the_hotel/);
    for (const more of [['postgres://u:word_of_the_hotel@h/db'], [...key.split('\n')], [key]]) {
      const { exitCode, text } = await runTerminal(['plan', '--skip', 'vps', ...more], { cwd: folder.path });
      assert.equal(exitCode, 1);
      assert.match(text, /the word after the value of --skip is (one too many|not a flag)/);
      assert.doesNotMatch(text, /_of_the_hotel/);
      assert.doesNotMatch(readFileSync(/^report: (.+)$/m.exec(text)![1]!, 'utf8'), /_of_the_hotel/);
    }
  });

  test('--env-file arrives where Node does not take it for its own, and its variable is named', async () => {
    const words = ['health', '--env-file', 'A=1'];
    const cwd = folder.path;
    for (const { text } of [
      await runTerminal(words, { cwd, node: ['--'] }),
      await runTerminal(['--', ...words], { cwd }),
    ])
      assert.match(
        text,
        /warning: env-file was given as a flag .*\n {2}next: Set the environment variable DEPLOY_ENV_FILE instead/,
      );
  });

  test('row 131: a secret in a flag is warned about and still not shown', async () => {
    const { text } = await muva(
      'health --health-deadline=500ms --supabase-access-token sbp_secret_of_the_hotel --health-url http://127.0.0.1:9/sbp_secret_of_the_hotel',
    );
    assert.match(
      text,
      /warning: supabase-access-token was given as a flag and can be seen in the process list/,
    );
    assert.doesNotMatch(text, /sbp_secret_of_the_hotel/);
  });

  test('--help names modes and inputs', async () => {
    const { exitCode, text } = await muva('--help');
    assert.equal(exitCode, 0);
    assert.match(text, /^Usage: muva-deploy <mode>/);
    assert.match(text, /--database-url\n.*\(or DATABASE_URL\)/);
    assert.match(text, /^ {2}init /m);
    assert.equal((await muva('help')).text, text);
    const init = await muva('init --help');
    assert.match(init.text, /^Usage: muva-deploy init /);
    assert.deepEqual([init.exitCode, (await muva('help init')).text], [0, init.text]);
    assert.match((await muva('--version')).text, /^muva-deploy \d+\.\d+\.\d+$/);
  });

  test('Ctrl-C stops what is under way, tells the truth and exits with 1', async () => {
    let pressed = false;
    const { exitCode, signal, text } = await muva(
      `health --health-url ${url} --health-paths /hang --health-timeout 50s --health-deadline 60s`,
      {
        interruptAfter: (said) => {
          if (pressed || !/^health /m.test(said)) return false;
          pressed = true;
          return true;
        },
      },
    );
    assert.deepEqual([exitCode, signal], [1, null], text);
    assert.match(text, /SIGINT received: stopping what is under way; Ctrl-C now ends at once/);
    assert.match(text, /health was cancelled/);
  });

  test('row 114: a terminal that is closed stops it the same way, and the report is still written', async () => {
    const cwd = join(folder.path, 'closed');
    mkdirSync(cwd);
    const { exitCode, signal, text } = await muva(
      `health --health-url ${url} --health-paths /hang --health-timeout 50s --health-deadline 60s`,
      { cwd, hangUpAfter: (said) => /^health /m.test(said) },
    );
    // Not SIGABRT, which leaves a core dump: see hangUp.
    assert.deepEqual([exitCode, signal], [null, 'SIGHUP'], text);
    const [file, ...others] = readdirSync(cwd);
    assert.deepEqual(others, []);
    assert.equal(JSON.parse(readFileSync(join(cwd, file!), 'utf8')).outcome, 'cancelled');
  });
});
