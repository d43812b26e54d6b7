/**
 * Whole deploys with marked secrets, in debug mode, with a build that prints all it can get at: nothing that they
 * say or leave behind may hold any secret in any form, except where it belongs.
 */
import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { currentLink } from '../../src/worker/state/layout.js';
import { runBundle } from '../servers/entry-points.js';
import { query } from '../servers/postgres.js';
import type { RunResult, StepResult } from '../servers/runner.js';
import { filesBelow, type Hit, searchFor, watchArguments } from '../servers/secret-search.js';
import { makeKeyPair } from '../servers/sshd.js';
import { pushVersion, type Stage, withCheckout, withStage } from '../servers/stage.js';

/** A key as people put it into an environment file: on one line. */
const SIGNING_KEY = makeKeyPair().private.trim();

/** What only the environment file on the server may hold. */
const ENV_FILE = {
  API_KEY: 'canary-api-Vq7!xK2+/=pL',
  MAIL_PASSWORD: 'canary mail "quoted" 9 & more',
  CACHE_URL: 'redis://default:canary-cache-p%23ss@127.0.0.1:6379/0',
};
const ENV_TEXT = `# of the test\nAPI_KEY=${ENV_FILE.API_KEY}\nMAIL_PASSWORD='${ENV_FILE.MAIL_PASSWORD}'\nexport CACHE_URL="${ENV_FILE.CACHE_URL}"\nSIGNING_KEY="${SIGNING_KEY.replaceAll('\n', '\\n')}"\n`;

const SECRETS = {
  'github-token': 'ghs_canary0123456789ABCDEFabcdef012345',
  'supabase-service-role-key': 'eyJhbGciOi.canary-service-role.x7Yz+/9A==',
  'ssh-passphrase': 'canary passphrase 7%41 für alle',
};

/** Of one guest; a failing constraint quotes the whole row. */
const ROW = 'canary-row-of-a-guest';

/** A secret that only the server has: the action was never given it. */
const HOST_SECRET = 'canary-of-the-host-5uX8';
const HOST_ENV = `HOST_TOKEN=${HOST_SECRET}\n`;

/** Prints a value as programs cut it: by colours, links, line breaks, carriage returns, chunks and the other pipe. */
const CUT = `
const say = (text) => process.stdout.write(text);
const later = (text) => new Promise((done) => setTimeout(done, 300)).then(() => say(text));
(async () => {
  for (const value of [process.env.API_KEY, process.env.HOST_TOKEN]) {
    const [a, b] = [value.slice(0, 9), value.slice(9)];
    const cuts = ["\\x1b[31m", "\\x1b[38:5:196m", "\\x1b]8;;http://x\\x1b\\\\", "\\n", "\\r\\n  ", "\\r", "\\x1b[0m\\n\\x1b[4:3m", "\\u200b"];
    for (const cut of cuts) say("cut " + a + cut + b + " end\\n");
    say(a);
    await later(b + "\\n" + a + "\\n");
    console.error("between");
    await later(b + "\\n");
    say([...value].map((character) => "\\x1b[3" + (value.length % 8) + "m" + character).join("") + "\\n");
  }
  say("all was cut\\n");
})();`;

/** Prints what a build can get at, as careless ones do: traced, listed, encoded. */
const BUILD = [
  'set -x',
  'env',
  '. ./.env.local',
  'cat .env.local',
  'cat .env.production || true',
  '[ ! -f .env.production ] || (. ./.env.production; echo "host: $HOST_TOKEN")',
  'printf "%s" "$API_KEY" | base64',
  'printf "x%s" "$API_KEY" | base64',
  'printf "xy%s" "$API_KEY" | base64',
  'printf "%s" "$API_KEY" | od -An -v -tx1 | tr -d " \\n"',
  'echo; echo "key: $API_KEY, mail: $MAIL_PASSWORD, cache: $CACHE_URL" >&2',
  'printf "%b\\n" "$SIGNING_KEY"',
  'printf "%b\\n" "$SIGNING_KEY" | base64',
  'echo "$API_KEY" | fold -w 7',
  // Not as arguments, which every user of the server sees.
  `API_KEY="$API_KEY" HOST_TOKEN="\${HOST_TOKEN:-none at all}" node -e '${CUT}'`,
  'set +x; pnpm build',
].join('\n');

describe('nothing secret is left anywhere', { timeout: 300_000 }, () => {
  const folder = mkdtempSync(join(tmpdir(), 'muva-canary-'));
  let stage: Stage;
  let leave: () => void = () => {};
  let left: Promise<void>;
  let secrets: Record<string, string>;
  let watched: ReturnType<typeof watchArguments>;
  const runs: { name: string; result: RunResult; folder: string }[] = [];
  const otherKey = makeKeyPair().private;

  before(async () => {
    await new Promise<void>((ready, failed) => {
      left = withStage({ postgres: 15 }, async (opened) => {
        stage = opened;
        ready();
        await new Promise<void>((done) => {
          leave = done;
        });
      });
      left.catch(failed);
    });
    secrets = {
      ...SECRETS,
      'database-url': stage.databaseUrl,
      'database password': stage.postgres.password,
      'ssh-private-key': stage.sshd.privateKey,
      'another ssh-private-key': otherKey,
      'part of env-file': ENV_FILE.API_KEY,
      'another part of env-file': ENV_FILE.MAIL_PASSWORD,
      'URL in env-file': ENV_FILE.CACHE_URL,
      'password in env-file': 'canary-cache-p#ss',
      'key in env-file': SIGNING_KEY,
      'environment of the server': HOST_SECRET,
      'env-file': ENV_TEXT.split('\n').slice(1).join('\n'),
    };
    watched = watchArguments(stage.vps.root);
  });
  after(async () => {
    watched?.stop();
    leave();
    await left;
    rmSync(folder, { recursive: true, force: true });
  });

  async function run(name: string, sha: string, inputs: Record<string, string> = {}): Promise<RunResult> {
    const { databaseUrl, origin, vps, sshd } = stage;
    const temp = join(folder, String(runs.length + 1));
    mkdirSync(temp);
    const result = await withCheckout(origin, sha, (workspace) =>
      runBundle({
        workspace,
        token: SECRETS['github-token'],
        env: {
          GITHUB_RUN_ID: String(runs.length + 1),
          GITHUB_SHA: sha,
          ACTIONS_STEP_DEBUG: 'true',
          RUNNER_DEBUG: '1',
          RUNNER_TEMP: temp,
        },
        inputs: {
          environment: 'staging',
          'database-url': databaseUrl,
          'supabase-service-role-key': SECRETS['supabase-service-role-key'],
          'ssh-host': sshd.host,
          'ssh-port': String(sshd.port),
          'ssh-user': sshd.user,
          'ssh-private-key': sshd.privateKey,
          'ssh-passphrase': SECRETS['ssh-passphrase'],
          'ssh-fingerprint': sshd.fingerprint,
          'repository-url': origin.url,
          'app-path': vps.appPath,
          'app-name': 'guesthouse',
          'env-file': ENV_TEXT,
          'build-command': BUILD,
          'health-url': `http://127.0.0.1:${vps.port}`,
          'health-deadline': '5s',
          'github-deployment': 'on',
          ...inputs,
        },
      }),
    );
    runs.push({ name, result, folder: temp });
    return result;
  }

  test('row 130: a deploy in debug mode, with a backup and a build that prints its environment', async () => {
    const result = await run('deploy', stage.origin.head(), { backup: 'schema' });
    assert.equal(result.outputs.outcome, 'success', result.log);
    assert.notEqual(result.outputs['backup-path'], '');
    assert.match(result.log, /key: \*\*\*, mail: \*\*\*, cache: \*\*\*/, 'the build did print them');
    assert.match(result.log, /^all was cut$/m);
    assert.equal(result.log.split('cut *** end').length, 9, 'each cut was joined and hidden');
    assertNothing([...told('deploy', result), ...hits(result.post)]);
  });

  test('row 129: an error that quotes a row, notices and an exception that quote a secret', async () => {
    await query(
      stage.databaseUrl,
      `create table public.guests (id int primary key, name text, note text);
       insert into public.guests values (1, '${ROW}', '${stage.postgres.password}')`,
    );
    const migration = (sql: string): string =>
      stage.origin.commit({ 'supabase/migrations/20250110000000_guests.sql': sql }, 'guests');
    const faults = {
      'a check': 'alter table public.guests add constraint short check (length(name) < 3);',
      'a duplicate': 'insert into public.guests select id, name, note from public.guests;',
      'a cast': 'select note::int from public.guests;',
      'an exception': `do $$ declare note text; begin select guests.note into note from public.guests;
        raise notice 'found %', note; raise warning 'found %', encode(note::bytea, 'base64');
        raise exception 'no place for %', note using detail = note, hint = note; end $$;`,
    };
    for (const [name, sql] of Object.entries(faults)) {
      const result = await run(name, migration(sql), { drift: 'off' });
      assert.equal(result.outputs['failed-phase'], 'migrate', result.log);
      assertNothing([...told(name, result), ...searchFor({ row: ROW }).in(textOf(result), name)]);
    }
    stage.origin.commit({ 'supabase/migrations/20250110000000_guests.sql': null }, 'no guests');
  });

  test('row 127: settings, a login and a key that are refused', async () => {
    const { databaseUrl, postgres } = stage;
    const head = stage.origin.head();
    const raw = databaseUrl.replace(encodeURIComponent(postgres.password), postgres.password);
    const refused = await run('a raw password in the URL', head, { 'database-url': raw });
    assert.equal(refused.outputs.outcome, 'failure', refused.log);
    const swapped = await run('secrets in the wrong inputs', head, {
      mode: postgres.password,
      'app-name': SECRETS['ssh-passphrase'],
      'ssh-host': SECRETS['github-token'],
      'health-url': SECRETS['supabase-service-role-key'],
      'ssh-fingerprint': stage.sshd.privateKey,
    });
    assert.equal(swapped.outputs.outcome, 'failure', swapped.log);
    const key = await run('a key that the server does not know', head, { 'ssh-private-key': otherKey });
    assert.match(key.log, /did not accept the private key/);
    const escaped = JSON.stringify(stage.sshd.privateKey);
    const inBase64 = Buffer.from(stage.sshd.privateKey).toString('base64');
    for (const [name, given] of Object.entries({ escaped, inBase64 })) {
      const result = await run(`a key pasted ${name}, and a lost password`, head, {
        'ssh-private-key': given,
        'database-url': databaseUrl.replace(encodeURIComponent(postgres.password), 'canary-lost-9xQ2'),
      });
      assert.equal(result.outputs['failed-phase'], 'plan', result.log);
      assertNothing(told(name, result));
    }
    assertNothing([refused, swapped, key].flatMap((result) => told('refused', result)));
  });

  test('row 133: a deploy that is rolled back', async () => {
    const v3 = pushVersion(stage.origin, 'v3', 'examples/changes/v3');
    writeFileSync(join(currentLink(stage.vps.appPath), '.env.production'), HOST_ENV, { mode: 0o600 });
    const result = await run('rolled back', v3, { drift: 'off' });
    assert.match(result.log, /^host: \*\*\*$/m, 'the build did print it');
    assert.equal(result.outputs.outcome, 'rolled-back', result.log);
    assertNothing(told('rolled back', result));
  });

  test('row 131: arguments of all programs that ran, here and on the server', () => {
    const seen = watched.stop();
    assert.ok(
      seen.some((line) => /\bpg_dump\b/.test(line)),
      'pg_dump was seen',
    );
    assert.ok(
      seen.some((line) => /\bpnpm\b/.test(line)),
      'the build was seen',
    );
    assertNothing(searchFor(secrets).in(seen.join('\n'), 'arguments'));
  });

  test('row 133: report files', () => {
    let files = 0;
    for (const each of runs)
      for (const name of readdirSync(each.folder)) {
        files += 1;
        assertNothing(
          searchFor(secrets).in(readFileSync(join(each.folder, name), 'utf8'), `${each.name} ${name}`),
        );
      }
    assert.ok(files >= runs.length, `${files} files of ${runs.length} runs`);
  });

  test("row 133: all files on the server, PM2's dump and the environment of what runs there", async () => {
    const { vps } = stage;
    const found: Hit[] = [];
    const withEnvironment: string[] = [];
    for (const { path, text } of filesBelow(vps.root)) {
      const own = text === HOST_ENV || text === Buffer.from(ENV_TEXT).toString('latin1');
      if (own) withEnvironment.push(path);
      // The environment file is what the server needs; nothing else may hold it, and nobody else may read it.
      if (own) assert.equal(statSync(join(vps.root, path)).mode & 0o077, 0, path);
      else found.push(...searchFor(secrets).in(text, path));
    }
    assert.ok(withEnvironment.length >= 1, 'the environment file is on the server');
    const { stdout } = await vps.run('pm2 jlist');
    assert.match(stdout, /guesthouse/);
    found.push(...searchFor(secrets).in(stdout, 'pm2 jlist'));
    for (const pid of vps.processes())
      found.push(
        ...searchFor(secrets).in(readFileSync(`/proc/${pid}/environ`, 'latin1'), `environment of ${pid}`),
      );
    assertNothing(found);
  });

  /** Everything that one run told anybody. */
  function told(name: string, result: RunResult): Hit[] {
    return [...hits(result, name), ...hits(result.post, `post of ${name}`)];
  }

  function hits(step: StepResult | undefined, name = 'post'): Hit[] {
    if (step === undefined) return [];
    const text = textOf(step);
    const { in: search } = searchFor(secrets);
    // Also what stands in it cut by white space and escapes, as a person would put it together again.
    return [...search(text, name), ...search(text.replace(/\x1b\[[0-9;:]*m|\s+/g, ''), `${name}, joined`)];
  }
});

/** The log before the runner's own masks, without the lines that tell the runner what to mask; and all files. */
function textOf(step: StepResult): string {
  const log = step.rawLog.split('\n').filter((line) => !line.startsWith('::add-mask::'));
  return [
    ...log,
    step.log,
    step.rawSummary,
    JSON.stringify(step.outputs),
    JSON.stringify(step.state),
    JSON.stringify(step.annotations),
    JSON.stringify(step.env),
  ].join('\n');
}

function assertNothing(found: readonly Hit[]): void {
  assert.deepEqual(
    found.map(({ secret, form, where, near }) => `${secret}, ${form}, in ${where}: ${near}`),
    [],
  );
}
