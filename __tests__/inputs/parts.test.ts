import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { InputName } from '../../src/inputs/input-sources.js';
import { MODES, type Mode } from '../../src/inputs/settings.js';
import { accepted, type Inputs, parse, refused, SSH, URL_OK } from './parsed.js';

const UNSET = /secret not set, or not available to forks/;
const complainedAbout = (inputs: Inputs, around = {}): InputName[] =>
  parse(inputs, around).problems.map(({ input }) => input);

describe('what a person asks of a rollback', () => {
  test('rollback-steps and rollback-to belong to mode rollback: elsewhere they would steer the automatic one', () => {
    for (const mode of MODES.filter((each) => each !== 'rollback')) {
      const given: Inputs = { ...SSH, mode, 'database-url': URL_OK, 'health-url': 'https://a.example' };
      for (const more of [{ 'rollback-steps': '2' }, { 'rollback-to': 'previous' }] as Inputs[]) {
        const [input] = Object.keys(more) as InputName[];
        refused({ ...given, ...more }, input!, /belongs to mode: rollback.*undoes exactly what it changed/);
      }
      const { rollback } = accepted(given);
      assert.deepEqual(Object.keys(rollback).sort(), ['database', 'onFailure', 'runId'], mode);
    }
  });

  test('a misspelt mode does not add a complaint about them', () => {
    assert.deepEqual(complainedAbout({ ...SSH, mode: 'rolback', 'rollback-to': 'previous' }), ['mode']);
  });

  test('both of them at once are refused, either is fine', () => {
    const given: Inputs = { ...SSH, mode: 'rollback' };
    assert.equal(accepted({ ...given, 'rollback-steps': '2' }).rollback.steps, 2);
    assert.equal(accepted({ ...given, 'rollback-to': 'previous' }).rollback.to, 'previous');
    refused(
      { ...given, 'rollback-steps': '2', 'rollback-to': 'previous' },
      'rollback-steps',
      /each says by itself what to undo/,
    );
  });
});

describe('row 7: what points to an empty connection', () => {
  const NOTHING = /Nothing arrived: does the job name the GitHub Environment/;

  test('every empty input of the server is named at once, and what points to it', () => {
    const given: Inputs = { 'database-url': URL_OK, 'app-path': '/var/www/app' };
    assert.deepEqual(complainedAbout(given), ['ssh-host', 'ssh-user', 'ssh-private-key', 'ssh-fingerprint']);
    refused(given, 'ssh-host', /app-path is set: set ssh-host \(secret or variable\), or say skip: vps/);
    refused(given, 'ssh-user', UNSET);
    assert.deepEqual(complainedAbout({ ...given, 'ssh-user': 'deploy', 'ssh-known-hosts': 'x' }), [
      'ssh-host',
      'ssh-private-key',
    ]);
  });

  test('where nothing arrived at all, all six are named, and the job is asked for its environment', () => {
    const given: Inputs = { 'app-path': '/var/www/app', 'app-name': 'web' };
    const { problems } = parse(given, { migrations: true });
    assert.deepEqual(problems.map(({ input }) => input).sort(), [
      'database-url',
      'health-url',
      'ssh-fingerprint',
      'ssh-host',
      'ssh-private-key',
      'ssh-user',
    ]);
    assert.match(problems[0]!.next!, NOTHING);
    refused({}, 'database-url', /nothing to work on.*Nothing arrived/);
    // At a terminal there is no such environment, and a fork gets no secrets whatever the job names.
    assert.doesNotMatch(parse(given, { terminal: true }).problems[0]!.next!, NOTHING);
    assert.doesNotMatch(parse(given, { run: { fork: true } }).problems[0]!.next!, NOTHING);
    assert.doesNotMatch(JSON.stringify(parse({ 'database-url': URL_OK, ...given }).problems), NOTHING);
  });

  test('no next action begins with the name of an input in capitals', () => {
    for (const mode of ['deploy', 'plan', 'redeploy', 'health'])
      for (const { next } of parse({ mode, 'app-path': '/var/www/app' }, { migrations: true }).problems)
        assert.doesNotMatch(next!, /App-path|Ssh-|Required-|Health-/);
  });

  test('a missing commit and a wrong fingerprint are told with all else', () => {
    const given: Inputs = { ...SSH, 'ssh-fingerprint': 'SHA256:short', 'lock-wait': '5' };
    assert.deepEqual(complainedAbout(given, { run: { sha: undefined } }).sort(), [
      'lock-wait',
      'ref',
      'ssh-fingerprint',
    ]);
    assert.deepEqual(
      complainedAbout({ mode: 'redeploy', 'app-path': 'relative' }, { run: { sha: undefined } }).sort(),
      ['ref', 'ssh-fingerprint', 'ssh-host', 'ssh-private-key', 'ssh-user', 'app-path'].sort(),
    );
  });
});

describe('row 7: an empty health-url', () => {
  const noServer: Inputs = { 'database-url': URL_OK };

  test('where health is asked for and nobody is there to ask the application, the run is refused', () => {
    const asked: Inputs[] = [
      { 'health-from': 'runner' },
      { 'expect-version': 'v2' },
      { 'health-max-latency': '1s' },
    ];
    for (const mode of ['deploy', 'plan', 'health'])
      for (const more of asked) {
        const ofTheDatabase = mode === 'health' && 'health-max-latency' in more;
        if (ofTheDatabase) accepted({ mode, ...noServer, ...more });
        else refused({ mode, ...noServer, ...more }, 'health-url', UNSET);
        accepted({ mode, ...noServer, ...more, 'health-url': 'https://a.example' });
      }
    for (const mode of ['deploy', 'plan']) {
      refused({ mode, ...SSH, 'health-from': 'runner' }, 'health-url', /health-from is runner.*skip: health/);
      accepted({ mode, ...SSH, 'health-from': 'runner', skip: 'health' });
      accepted({ mode, ...SSH, 'expect-version': 'v2' });
    }
  });

  test('health-from: vps needs a server', () => {
    for (const mode of ['deploy', 'plan', 'health']) {
      refused(
        { mode, ...noServer, 'health-from': 'vps' },
        'health-from',
        /needs a server, and ssh-host is empty/,
      );
      refused(
        { mode, ...SSH, ...noServer, skip: 'vps', 'health-from': 'vps' },
        'health-from',
        /needs a server, and skip leaves/,
      );
    }
    accepted({ ...SSH, 'health-from': 'vps' });
  });

  test('skip: health leaves nothing of mode health', () => {
    refused({ mode: 'health', ...noServer, skip: 'health' }, 'skip', /leaves nothing of mode health/);
  });

  test('with a server and nothing that points to it, it is a warning', () => {
    const told = (inputs: Inputs): string[] => accepted(inputs).warnings.map(({ message }) => message);
    for (const mode of ['deploy', 'plan', 'health'])
      assert.deepEqual(told({ mode, ...SSH }), ['health-url: is empty: the public address is not asked']);
    assert.deepEqual(told({ ...SSH, 'health-url': 'https://a.example' }), []);
    assert.deepEqual(told({ ...SSH, 'health-from': 'vps' }), []);
    assert.deepEqual(told({ ...SSH, skip: 'health' }), []);
    assert.deepEqual(told({ ...SSH, mode: 'redeploy' }), []);
    assert.deepEqual(told(noServer), []);
  });
});

describe('a part that a mode does not use', () => {
  const job: NodeJS.ProcessEnv = {
    VPS_HOST: 'a host;',
    VPS_PORT: 'ssh',
    VPS_FINGERPRINT: 'nonsense',
    HEALTH_URL: 'nonsense',
    SUPABASE_SERVICE_ROLE_KEY: '••••',
  };

  test('is not read: the environment of the job is for its other steps too', () => {
    for (const mode of ['migrate', 'verify'] as Mode[]) {
      const settings = accepted({ mode, 'database-url': URL_OK }, { env: job });
      assert.equal(settings.vps, undefined);
      accepted({ mode, 'database-url': URL_OK, 'backup-to': 'vps' }, { env: job });
    }
    const url = { ...job, VPS_HOST: 'a.example' };
    accepted(
      { mode: 'health', 'health-from': 'runner', 'health-url': 'https://a.example' },
      { env: { VPS_HOST: 'a' } },
    );
    refused({ mode: 'health', 'database-url': URL_OK }, 'ssh-port', /whole number/, { env: url });
    const redeploy = accepted({ mode: 'redeploy', ...SSH }, { env: { DATABASE_URL: 'postgres://half' } });
    assert.equal(redeploy.database, undefined);
    refused({ mode: 'rollback', ...SSH }, 'database-url', /has no user/, {
      env: { DATABASE_URL: 'postgres://half' },
    });
  });

  test('row 161: password hashes go to a web server only where that is said in so many words', () => {
    const given: Inputs = { ...SSH, mode: 'migrate', 'database-url': URL_OK, 'backup-platform-data': 'on' };
    const full: Inputs = { ...given, backup: 'full' };
    refused(given, 'backup-platform-data', /adds rows to a full dump, and none is made/);
    refused({ ...given, backup: 'schema' }, 'backup-platform-data', /Say backup: full too/);
    refused(full, 'backup-platform-data', /password hashes of auth\.users on the web server/);
    for (const to of ['vps', 'runner'])
      assert.equal(accepted({ ...full, 'backup-to': to }).database?.backupPlatformData, 'on');
  });

  test('migrate reads the server where its backup lies there', () => {
    const given: Inputs = { mode: 'migrate', 'database-url': URL_OK, backup: 'full' };
    refused(given, 'ssh-port', /whole number/, { env: job });
    accepted({ ...given, 'backup-to': 'runner' }, { env: job });
    const kept = accepted({ ...given, ...SSH });
    assert.deepEqual([kept.database?.backupTo, kept.vps?.appName], ['vps', 'web']);
    refused({ ...given, 'backup-to': 'vps' }, 'backup-to', /needs a server, and ssh-host is empty/);
    refused({ ...given, ...SSH, 'backup-to': 'vps', skip: 'vps' }, 'backup-to', /skip leaves it out/);
    assert.equal(accepted(given).database?.backupTo, 'runner');
  });
});

describe('the key of the REST endpoint', () => {
  const REF = 'abcdefghijklmnopqrst';
  const KEY: Inputs = { mode: 'health', 'supabase-service-role-key': 'service-key-0123456789' };
  const PASS = 'p4ssw0rd-of-this';

  test('goes to the project that the database URL names', () => {
    for (const url of [
      `postgresql://postgres.${REF}:${PASS}@aws-0-eu-central-1.pooler.supabase.com:6543/postgres`,
      `postgresql://postgres:${PASS}@db.${REF}.supabase.co:5432/postgres`,
    ])
      assert.equal(
        accepted({ ...KEY, 'database-url': url }).health.rest?.url,
        `https://${REF}.supabase.co/rest/v1/`,
      );
  });

  test('is said not to be used where no project is known', () => {
    for (const url of [
      URL_OK,
      `postgresql://postgres.${REF}:${PASS}@pooler.example.com:6543/postgres`,
      `postgresql://postgres:${PASS}@db.${REF}.supabase.co.example.com/postgres`,
    ]) {
      const settings = accepted({ ...KEY, 'database-url': url });
      assert.equal(settings.health.rest, undefined);
      assert.match(
        settings.warnings[0]!.message,
        /^supabase-service-role-key: is not used: .*names no Supabase/,
      );
    }
    assert.deepEqual(accepted({ ...KEY, mode: 'verify', 'database-url': URL_OK }).warnings, []);
  });

  test('what cannot be a header is refused before it is sent', () => {
    for (const [value, said] of [
      ['••••••••••••', /U\+2022/],
      ['eyJhbGciOi.first-half\nsecond-half', /a line break/],
      ['Bearer abcdefghijklmnop', /a blank/],
    ] as [string, RegExp][]) {
      const given: Inputs = { mode: 'health', 'database-url': URL_OK, 'supabase-project-ref': REF };
      for (const input of ['supabase-service-role-key', 'github-token'] as const)
        refused({ ...given, [input]: value }, input, said, {}, [value]);
      refused(
        { mode: 'migrate', 'supabase-project-ref': REF, 'supabase-access-token': value },
        'supabase-access-token',
        said,
      );
    }
  });
});

describe('durations', () => {
  test('row 3: more than a week is refused, and so is a sum that no timer holds', () => {
    for (const input of ['lock-wait', 'deploy-timeout', 'health-deadline'] as const) {
      refused({ ...SSH, [input]: '600h' }, input, /"600h" is longer than 168h/);
      accepted({ ...SSH, [input]: '168h' });
    }
    const three: Inputs = {
      ...SSH,
      'ssh-host': 'a.example\nb.example\nc.example',
      'ssh-fingerprint': ['a', 'b', 'c']
        .map((host) => `${host}.example ${SSH['ssh-fingerprint']}`)
        .join('\n'),
    };
    refused(
      { ...three, 'lock-wait': '168h', 'deploy-timeout': '168h' },
      'deploy-timeout',
      /too long for 3 hosts and this lock-wait Use at most 101h/,
    );
    const most = accepted({ ...three, 'lock-wait': '168h', 'deploy-timeout': '101h' }).vps!;
    assert.ok(most.lockWait + most.deployTimeout * 4 + 3_600_000 < 2 ** 31);
  });
});

describe('row 106: env-file', () => {
  test('a text that was cut is refused at once where it would be written, and is no matter elsewhere', () => {
    const cut = 'A=1\nSECRET="sk-live-0123456789\n';
    for (const mode of ['deploy', 'plan', 'redeploy'])
      refused({ ...SSH, mode, 'env-file': cut }, 'env-file', /quote that line 2 opens is never closed/, {}, [
        'sk-live',
      ]);
    accepted({ ...SSH, mode: 'rollback', 'env-file': cut });
    assert.equal(accepted({ ...SSH, 'env-file': 'A=1\n' }).vps?.envFile?.reveal(), 'A=1\n');
  });
});
