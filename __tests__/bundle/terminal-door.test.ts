import assert from 'node:assert/strict';
import { mkdirSync, readdirSync, readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { runTerminal, type Terminal, temporaryFolder } from '../servers/doors.js';

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

describe('the terminal door', () => {
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

  test('wrong words, flags and values are refused together, before anything is done', async () => {
    const { exitCode, text } = await muva('helth --app-nmae x --health-timeout 5 --environment staging');
    assert.equal(exitCode, 1);
    assert.match(text, /error: mode: "helth" is not a mode\n {2}next: Did you mean "health"\?/);
    assert.match(text, /error: --app-nmae is not known\n {2}next: Did you mean --app-name\?/);
    assert.match(text, /error: health-timeout: "5" is not a duration/);
    const report = JSON.parse(readFileSync(/^report: (.+)$/m.exec(text)![1]!, 'utf8'));
    assert.equal(report.environment, 'staging');
  });

  test('without a word it says what it can do, and a rollback must be told what to undo', async () => {
    const nothing = await muva('');
    assert.equal(nothing.exitCode, 1);
    assert.match(
      nothing.text,
      /error: mode: is missing\n {2}next: Say what to do: muva-deploy plan \| migrate/,
    );
    const rollback = await muva('rollback --database-url postgresql://u:p@127.0.0.1:9/x');
    assert.equal(rollback.exitCode, 1);
    assert.match(rollback.text, /run-id: is empty, and so is rollback-to/);
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
