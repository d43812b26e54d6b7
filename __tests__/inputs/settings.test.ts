import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { withEnvironment } from '../../src/inputs/input-sources.js';
import { secretInputs, unmaskableInputs } from '../../src/inputs/secret-inputs.js';
import { makeKeyPair } from '../servers/sshd.js';
import { accepted, type Inputs, parse, refused, SSH, URL_OK } from './parsed.js';

describe('rows 1-4: modes, booleans, numbers, white space', () => {
  test('row 1: an unknown mode lists the modes and names the nearest', () => {
    refused({ mode: 'Migrate ' }, 'mode', /Did you mean "migrate"\? The modes are: plan, migrate, verify/);
    refused({ mode: 'migrat' }, 'mode', /"migrate"/);
    refused({ mode: 'xyzzy' }, 'mode', /The modes are: plan/);
    assert.equal(accepted({ 'database-url': URL_OK }).mode, 'deploy');
  });

  test('row 2: booleans are YAML 1.2 words only', () => {
    for (const yes of ['true', 'True', 'TRUE']) {
      assert.equal(accepted({ 'database-url': URL_OK, 'include-all': yes }).database?.includeAll, true);
    }
    for (const no of ['yes', 'on', '1', 'tRue', 'fasle']) {
      refused({ 'database-url': URL_OK, 'include-all': no }, 'include-all', /not a boolean.*true or false/);
    }
  });

  test('row 3: numbers and durations have units where they need them and none where not', () => {
    for (const wrong of ['10min', '-5s', 'NaN', '10', '1.5s', '0s', '']) {
      const inputs: Inputs = { 'database-url': URL_OK, 'lock-timeout': wrong };
      if (wrong === '') assert.equal(accepted(inputs).database?.lockTimeout, 5_000);
      else refused(inputs, 'lock-timeout', /500ms, 10s, 5m or 1h/);
    }
    for (const wrong of ['5s', '-1', 'NaN', '1', '2.5'])
      refused({ ...SSH, 'keep-releases': wrong }, 'keep-releases', /whole number from 2/);
  });

  test('row 4: white space around a value is trimmed', () => {
    const settings = accepted({ 'database-url': ` \n${URL_OK}\n` });
    assert.equal(
      settings.database?.connection.kind === 'url' && settings.database.connection.address.host,
      'db.example.com',
    );
  });
});

describe('rows 5-7: connections', () => {
  test('row 5: the placeholder password is refused', () => {
    for (const placeholder of [
      '[YOUR-PASSWORD]',
      '[YOUR_PASSWORD]',
      '[password]',
      '[DB PASSWORD]',
      '<password>',
      '%5BYOUR-PASSWORD%5D',
    ])
      refused(
        { 'database-url': `postgresql://postgres:${placeholder}@db.example.com/postgres` },
        'database-url',
        /placeholder/,
      );
    accepted({ 'database-url': 'postgresql://postgres:yourpassword@db.example.com/postgres' });
  });

  test('row 6: a raw @ # / ? in the password is refused, and nothing of it is echoed', () => {
    for (const password of ['hunter@two9', 'hunter#two9', 'hunter/two9', 'hunter?two9', 'hun%zzter9']) {
      const url = `postgresql://postgres:${password}@db.example.com:5432/postgres`;
      refused({ 'database-url': url }, 'database-url', /percent-encoded/, {}, ['hunter', 'two9', 'ter9']);
    }
    const encoded = accepted({ 'database-url': 'postgresql://u:hunter%40two@db.example.com/postgres' });
    assert.equal(
      encoded.database?.connection.kind === 'url' && encoded.database.connection.address.password.reveal(),
      'hunter@two',
    );
  });

  test('row 7: an empty connection is refused where something points to its part', () => {
    const unset = /secret not set, or not available to forks/;
    refused({ ...SSH }, 'database-url', unset, { migrations: true });
    refused({ ...SSH, 'required-tables': 'hotels' }, 'database-url', unset);
    refused({ mode: 'plan', ...SSH }, 'database-url', unset, { migrations: true });
    refused({ 'supabase-project-ref': 'abcdefghijklmnopqrst', ...SSH }, 'supabase-access-token', unset);
    refused({ 'database-url': URL_OK, 'app-path': '/var/www/app' }, 'ssh-host', unset);
    refused({ 'database-url': URL_OK, 'app-name': 'web' }, 'ssh-host', unset);
    refused({ mode: 'migrate' }, 'database-url', unset);
    refused({ ...SSH, 'ssh-private-key': '' }, 'ssh-private-key', unset);
    accepted({ ...SSH, skip: 'database' }, { migrations: true });
    accepted({ 'database-url': URL_OK, 'app-path': '/var/www/app', skip: 'vps' });
  });

  test('nothing to work on at all is refused', () => {
    refused({}, 'database-url', /nothing to work on/);
    refused({ mode: 'health' }, 'health-url', /nothing to ask/);
    accepted({ mode: 'plan', skip: 'database, vps' }, { migrations: true });
  });

  test('without a host key the server could not be told from an impostor', () => {
    refused({ ...SSH, 'ssh-fingerprint': '' }, 'ssh-fingerprint', /ssh-keygen -lf/);
    const knownHosts = `vps.example.com ${makeKeyPair().public}`;
    accepted({ ...SSH, 'ssh-fingerprint': '', 'ssh-known-hosts': knownHosts });
  });

  test('plaintext to another machine is refused', () => {
    refused({ 'database-url': `${URL_OK}?sslmode=disable` }, 'database-url', /TLS is always verified/);
    accepted({ 'database-url': 'postgresql://u:password@127.0.0.1:5432/x?sslmode=disable' });
  });
});

describe('rows 9-13: names and paths', () => {
  test('row 9: paths are refused where they lead out, look like options, or are not what is asked for', () => {
    for (const path of ['../..', '/etc', '-rf', 'a/../../b'])
      refused({ 'database-url': URL_OK, 'migrations-dir': path }, 'migrations-dir', /inside the project/);
    for (const path of ['relative', '/', '/etc', '/var/../etc', '/var/www/a\u0007b'])
      refused({ ...SSH, 'app-path': path }, 'app-path', /app-path: /);
    assert.equal(
      accepted({ ...SSH, 'app-path': '/var/www/it is $(fine)/' }).vps?.appPath,
      '/var/www/it is $(fine)',
    );
  });

  test('row 10: refs that a shell, an option parser or git could read as more than a name are refused', () => {
    for (const ref of [
      'a;reboot',
      '--upload-pack=x',
      '@{-1}',
      'HEAD~1',
      'a b',
      'a..b',
      'x.lock',
      '-x',
      'a//b',
      '$(id)',
    ]) {
      refused({ ...SSH, ref }, 'ref', /full commit SHA/);
    }
    assert.equal(accepted({ ...SSH, ref: 'feature/añadir' }).vps?.refExplicit, true);
  });

  test('row 11: PM2 names that PM2 reads as something else are refused', () => {
    for (const name of ['all', '0', '42', "we'b", '-x', 'a;b', '/web/', 'web.json', 'a.config.js', '$(id)'])
      refused({ ...SSH, 'app-name': name }, 'app-name', /pm2 list/);
    for (const name of ['web', '_web', '@shop/web', 'shop:web', 'web 2', 'web.v2', 'añadir'])
      assert.equal(accepted({ ...SSH, 'app-name': name }).vps?.appName, name);
  });

  test('row 168: several programs of one checkout stand one per line, the one with the port first', () => {
    const { vps } = accepted({ ...SSH, 'app-name': 'shop web\n  jobs none\n\nbot none\n' });
    assert.deepEqual([vps?.appName, vps?.portless, vps?.otherPrograms], ['shop web', false, ['jobs', 'bot']]);
    assert.equal(accepted({ ...SSH, 'app-name': 'jobs none' }).vps?.portless, true);
    refused({ ...SSH, 'app-name': 'jobs none\nshop' }, 'app-name', /answers requests first/);
    refused({ ...SSH, 'app-name': 'shop\nshop none' }, 'app-name', /each once/);
    refused({ ...SSH, 'app-name': 'shop\n42' }, 'app-name', /pm2 list/);
    const systemd = { ...SSH, 'restart-command': 'systemctl restart shop', 'health-port': '3000' };
    refused({ ...systemd, 'app-name': 'shop\njobs none' }, 'app-name', /one of the two/);
    refused({ ...systemd, 'health-from': 'none' }, 'health-from', /one of the two/);
    refused({ ...systemd, ecosystem: 'follow' }, 'ecosystem', /for PM2/);
  });

  test('row 12: qualified and quoted table names are read as SQL reads them', () => {
    const tables = accepted({
      'database-url': URL_OK,
      'required-tables': 'public.a, "We ird"."x", Hotels\n"a,b"',
    }).database?.requiredTables;
    assert.deepEqual(tables, [
      { schema: 'public', name: 'a' },
      { schema: 'We ird', name: 'x' },
      { schema: 'public', name: 'hotels' },
      { schema: 'public', name: 'a,b' },
    ]);
    refused({ 'database-url': URL_OK, 'required-tables': 'a.b.c' }, 'required-tables', /more than two parts/);
    refused({ 'database-url': URL_OK, 'required-tables': 'a; drop' }, 'required-tables', /not a table name/);
  });

  test('row 13: invisible characters are refused with their code point, letters of any language are fine', () => {
    refused({ ...SSH, environment: 'sta\u202Eging' }, 'environment', /U\+202E/);
    refused({ ...SSH, 'app-name': 'we\u200Bb' }, 'app-name', /U\+200B/);
    refused({ ...SSH, 'app-path': '/var/www/\u2066app' }, 'app-path', /U\+2066/);
    assert.equal(accepted({ ...SSH, 'app-name': 'añadir' }).vps?.appName, 'añadir');
  });
});

describe('all problems are told at once', () => {
  test('five wrong inputs give five complaints', () => {
    const { problems } = parse({
      mode: 'depoly',
      'include-all': 'yes',
      'lock-timeout': '5',
      'ssh-port': '70000',
      transaction: 'some',
    });
    for (const input of ['mode', 'include-all', 'lock-timeout', 'ssh-port', 'transaction']) {
      assert.ok(
        problems.some((problem) => problem.message.startsWith(`${input}: `)),
        input,
      );
    }
  });
});

describe('where a value comes from', () => {
  test('the input wins over the environment, the environment over the default', () => {
    const env = { DATABASE_URL: URL_OK, VPS_PORT: '2222' };
    assert.equal(accepted({ ...SSH }, { env }).vps?.ssh.hosts[0]?.port, 2222);
    assert.equal(accepted({ ...SSH, 'ssh-port': '2200' }, { env }).vps?.ssh.hosts[0]?.port, 2200);
    assert.equal(accepted({ ...SSH }).vps?.ssh.hosts[0]?.port, 22);
    assert.ok(accepted({}, { env }).database);
  });

  test('the commit is GITHUB_SHA unless a ref is given, and only a given one is explicit', () => {
    assert.deepEqual(
      [accepted({ ...SSH }).vps?.ref, accepted({ ...SSH }).vps?.refExplicit],
      ['a'.repeat(40), false],
    );
    assert.equal(accepted({ ...SSH, ref: 'v1.2.3' }).vps?.refExplicit, true);
  });
});

describe('secretInputs', () => {
  test('row 127: the decoded password and the pair are masked with the URL', () => {
    const read = withEnvironment(
      (name) => (name === 'database-url' ? 'postgresql://u:hunter%40two@db.example.com/x' : ''),
      {},
    );
    assert.deepEqual(
      secretInputs(read).sort(),
      ['hunter%40two', 'hunter@two', 'postgresql://u:hunter%40two@db.example.com/x', 'u:hunter%40two'].sort(),
    );
  });

  test('row 128: the inputs whose secret cannot be masked are named', () => {
    const inputs: Inputs = {
      'database-url': 'postgresql://u:postgres@db.example.com/x',
      'shadow-database-url': 'postgresql://u:a-long-password@db.example.com/x',
      'ssh-passphrase': ' abc ',
      'github-token': 'a-long-token',
      'env-file': 'KEY=abc\n',
    };
    assert.deepEqual(unmaskableInputs(withEnvironment((name) => inputs[name] ?? '', {})), [
      'database-url',
      'ssh-passphrase',
    ]);
  });
});

describe('untrusted events', () => {
  test('writing modes are refused on pull_request_target and for forks; plan is not', () => {
    refused({ ...SSH }, 'mode', /pull_request_target/, { run: { event: 'pull_request_target' } });
    refused({ ...SSH }, 'mode', /fork/, { run: { event: 'pull_request', fork: true } });
    accepted({ ...SSH, mode: 'plan' }, { run: { event: 'pull_request', fork: true } });
  });
});

describe('a rollback from a terminal', () => {
  test('needs something that says what to undo', () => {
    refused({ ...SSH, mode: 'rollback' }, 'run-id', /rollback-to previous/, { terminal: true });
    assert.equal(
      accepted({ ...SSH, mode: 'rollback', 'run-id': '77' }, { terminal: true }).rollback.runId,
      '77',
    );
    assert.equal(
      accepted({ ...SSH, mode: 'rollback', 'rollback-to': 'previous' }, { terminal: true }).rollback.to,
      'previous',
    );
  });
});

describe('health', () => {
  const rest: Inputs = {
    'supabase-service-role-key': 'service-key-0123456789',
    'supabase-project-ref': 'abcdefghijklmnopqrst',
  };

  test('the base URL has no query, the paths begin with a slash, and there is at least one', () => {
    const url = { mode: 'health', 'health-url': 'https://shop.example/base/' };
    assert.equal(accepted(url).health.url, 'https://shop.example/base');
    refused(
      { mode: 'health', 'health-url': 'https://shop.example/?a=1' },
      'health-url',
      /query or a fragment/,
    );
    for (const address of ['https://shop.example/?', 'https://shop.example/#', 'https://shop.example?a'])
      refused({ mode: 'health', 'health-url': address }, 'health-url', /query or a fragment/);
    for (const two of ['https://a.example,https://b.example/', 'https://a.example\nhttps://b.example'])
      assert.deepEqual(accepted({ mode: 'health', 'health-url': two }).health.moreUrls, [
        'https://b.example',
      ]);
    refused(
      { mode: 'health', 'health-url': 'https://a.example https://b.example' },
      'health-url',
      /white space/,
    );
    refused({ mode: 'health', 'health-url': 'shop.example' }, 'health-url', /not a URL.*https/);
    refused({ mode: 'health', 'health-url': 'https://u:p@shop.example' }, 'health-url', /user or password/);
    refused({ ...url, 'health-paths': 'api/health' }, 'health-paths', /start with a slash/);
    refused({ ...url, 'health-paths': ',' }, 'health-paths', /names no path/);
    assert.deepEqual(accepted({ ...url, 'health-paths': '/a, /b\n/a' }).health.paths, ['/a', '/b']);
    assert.deepEqual(accepted(url).warnings, []);
    assert.match(
      accepted({ ...url, 'health-successes': '20' }).warnings[0]!.message,
      /^health-successes: asks for more than the request budget allows: 20 good answers of 2 paths/,
    );
  });

  test('a watch lasts from nothing to half an hour, and says where it has nothing to watch by', () => {
    const deploy = { mode: 'deploy', ...SSH, 'health-paths': '/' };
    assert.equal(accepted(deploy).health.watch, 0);
    assert.equal(accepted({ ...deploy, watch: '30m' }).health.watch, 1_800_000);
    refused({ ...deploy, watch: '31m' }, 'watch', /longer than 30m/);
    refused({ ...deploy, watch: '90' }, 'watch', /not a duration.*from 0s to 30m/s);
    assert.deepEqual(
      accepted({ ...deploy, watch: '2m', skip: 'health' }).warnings.map(({ message }) => message),
      ['watch: is not used: health is left out, so nothing is known to have been good'],
    );
    assert.deepEqual(
      accepted({ mode: 'deploy', 'database-url': URL_OK, watch: '2m' }).warnings.map(
        ({ message }) => message,
      ),
      ['watch: is not used: without a server there is no code that it could put back'],
    );
  });

  test('the service key goes to the project, encrypted, or nowhere', () => {
    const asked = { mode: 'health', 'database-url': URL_OK, ...rest };
    assert.equal(accepted(asked).health.rest?.url, 'https://abcdefghijklmnopqrst.supabase.co/rest/v1/');
    refused({ ...asked, 'supabase-api-url': 'http://api.example' }, 'supabase-api-url', /not encrypted/);
    refused({ ...asked, 'supabase-project-ref': 'evil.example/x' }, 'supabase-project-ref', /20 letters/);
    assert.equal(
      accepted({ ...asked, 'supabase-api-url': 'http://127.0.0.1:8000/' }).health.rest?.url,
      'http://127.0.0.1:8000/rest/v1/',
    );
    assert.equal(accepted({ mode: 'health', 'database-url': URL_OK }).health.rest, undefined);
  });
});

test('an input that database and server both read is wrong once', () => {
  const { problems } = parse({ ...SSH, 'database-url': URL_OK, 'lock-wait': '10min' });
  assert.equal(problems.filter(({ message }) => message.startsWith('lock-wait: ')).length, 1);
  assert.equal(accepted({ ...SSH, 'database-url': URL_OK, 'lock-wait': '1m' }).database?.lockWait, 60_000);
});
