import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { Readable } from 'node:stream';
import { after, before, describe, test } from 'node:test';
import { Cancelled, Failure } from '../../src/lib/report.js';
import {
  describePacked,
  type PackOptions,
  packBuild,
  pathsToPack,
} from '../../src/server/checkout/pack-build.js';
import { type Fleet, openFleet } from '../../src/server/fleet/fleet.js';
import { storeFile } from '../../src/server/fleet/store-file.js';
import { type Origin, startOrigin } from '../servers/origin.js';
import { asStranger } from '../servers/other-user.js';
import { type Sshd, startSshd } from '../servers/sshd.js';
import { until } from '../servers/until.js';
import { startWire, type Wire } from '../servers/wire.js';
import { sshSettings } from './fleet-settings.js';

describe('storing a file on a server', () => {
  let server: Sshd;
  let wire: Wire;
  let fleet: Fleet;
  before(async () => {
    server = await startSshd();
    wire = await startWire(server);
    fleet = openFleet({ ssh: sshSettings([server], { ports: [wire.port] }) }, { dist: '', log: () => {} });
  });
  after(async () => {
    await fleet.close();
    await wire.stop();
    await server.stop();
  });

  test('it arrives whole, 0600, in a folder 0700, whatever the names hold', async () => {
    const folder = join(server.home, 'it\'s a $(folder) with `all` "of" it\\');
    const bytes = randomBytes(3_000_000);
    const content = Readable.from([bytes.subarray(0, 10), bytes.subarray(10)]);
    const path = await storeFile(fleet.hosts[0]!, { folder, name: 'a b;c.dump', content });
    assert.equal(path, `${folder}/a b;c.dump`);
    assert.ok(readFileSync(path).equals(bytes));
    assert.equal(statSync(path).mode & 0o777, 0o600);
    assert.equal(statSync(folder).mode & 0o777, 0o700);
    assert.deepEqual(readdirSync(folder), ['a b;c.dump']);
  });

  test('cut on the way, it is never taken for the whole', async () => {
    const folder = join(server.home, 'cut');
    const content = Readable.from(
      (async function* () {
        yield Buffer.alloc(100_000);
        await until('the folder', () => existsSync(folder));
        wire.cut('reset');
        yield Buffer.alloc(100_000);
      })(),
    );
    await assert.rejects(storeFile(fleet.hosts[0]!, { folder, name: 'x', content }), Failure);
    assert.ok(!readdirSync(folder).includes('x'));
  });

  test('a source that breaks is told, and leaves nothing', async () => {
    const folder = join(server.home, 'broken');
    const content = new Readable({
      read() {
        this.push('half');
        this.destroy(new Error('pg_dump ended with 1'));
      },
    });
    await assert.rejects(storeFile(fleet.hosts[0]!, { folder, name: 'x', content }), /pg_dump ended with 1/);
    assert.deepEqual(readdirSync(folder), []);
  });

  test('row 146: nothing is stored behind a symlink, or in a folder of another user', async () => {
    const elsewhere = join(server.home, 'elsewhere');
    mkdirSync(elsewhere);
    symlinkSync(elsewhere, join(server.home, 'linked'));
    symlinkSync(join(server.home, 'nothing'), join(server.home, 'dangling'));
    mkdirSync(join(server.home, 'inside'));
    symlinkSync(elsewhere, join(server.home, 'inside/backups'));
    const open = join(server.home, 'open');
    mkdirSync(open);
    for (const path of [dirname(server.home), server.home]) chmodSync(path, 0o755);
    chmodSync(open, 0o1777);
    asStranger(open, 'mkdir -m 777 theirs');
    for (const folder of ['linked/backups', 'dangling/backups', 'inside/backups', 'open/theirs/backups']) {
      const content = Readable.from(['the database']);
      const stored = storeFile(fleet.hosts[0]!, { folder: join(server.home, folder), name: 'x', content });
      await assert.rejects(stored, /is a symlink or belongs to another user: nothing was stored/, folder);
    }
    assert.deepEqual(readdirSync(elsewhere), []);
    assert.deepEqual(readdirSync(join(open, 'theirs')), []);
    assert.ok(!existsSync(join(server.home, 'nothing')));
  });

  test('a folder that cannot be made is told with what the server said', async () => {
    const file = join(server.home, 'file');
    writeFileSync(file, '');
    chmodSync(file, 0o400);
    const stored = storeFile(fleet.hosts[0]!, {
      folder: `${file}/below`,
      name: 'x',
      content: Readable.from(['1']),
    });
    await assert.rejects(stored, /Not a directory|File exists/);
  });
});

describe('the build of this job', () => {
  let origin: Origin;
  let checkout: string;
  let work: string;
  before(() => {
    work = mkdtempSync(join(tmpdir(), 'muva-pack-'));
    origin = startOrigin({
      'package.json': '{}',
      '.gitignore':
        'node_modules\ndist\n.env*\nuploads\n.next\n*.log\ngha-creds-*.json\n.npmrc\ndeploy_key*\n*.pem\nsupabase/.temp\n',
    });
    checkout = join(work, 'checkout');
    origin.git('clone', '-q', origin.url, checkout);
    for (const [path, text] of Object.entries({
      'dist/index.js': 'built',
      'node_modules/a/index.js': 'module',
      'node_modules/.cache/x': 'cache',
      '.next/BUILD_ID': 'id',
      '.next/cache/big': 'cache',
      '.env.local': 'SECRET=1',
      'uploads/photo': 'photo',
      'gha-creds-0123.json': '{}',
      '.npmrc': '//registry/:_authToken=x',
      deploy_key: 'key',
      'keys/tls.pem': 'key',
      'supabase/.temp/pooler-url': 'postgres://',
      'test.log': 'log',
    })) {
      mkdirSync(dirname(join(checkout, path)), { recursive: true });
      writeFileSync(join(checkout, path), text);
    }
  });
  after(() => {
    origin.stop();
    rmSync(work, { recursive: true, force: true });
  });

  const pack = (change: Partial<PackOptions> = {}) =>
    packBuild({
      workingDirectory: checkout,
      sha: origin.head(),
      buildOutput: [],
      sharedPaths: ['uploads'],
      folder: work,
      signal: new AbortController().signal,
      ...change,
    });
  const listed = (file: string): string[] =>
    execFileSync('tar', ['-tzf', file], { encoding: 'utf8' })
      .split('\n')
      .filter((path) => path !== '' && !path.endsWith('/'))
      .sort();

  test('what builds make is packed, and nothing else that git ignores: no credentials of the job, no caches', async () => {
    const build = await pack();
    assert.deepEqual(listed(build.file), ['.next/BUILD_ID', 'dist/index.js', 'node_modules/a/index.js']);
    assert.equal(statSync(build.file).size, build.bytes);
    assert.deepEqual(build.leftOut.sort(), [
      '.npmrc',
      'deploy_key',
      'gha-creds-0123.json',
      'keys/tls.pem',
      'supabase/.temp',
      'test.log',
    ]);
    assert.match(
      describePacked(build),
      /; not sent: .*\.npmrc.* \(name in build-output what the application needs\)$/,
    );
  });

  test('what is named in build-output is sent, whatever it is called', async () => {
    const { file, leftOut } = await pack({ buildOutput: ['keys/tls.pem', 'dist'] });
    assert.deepEqual(listed(file), ['dist/index.js', 'keys/tls.pem', 'node_modules/a/index.js']);
    assert.deepEqual(leftOut, []);
  });

  test('build-output names what is packed beside node_modules, and must be there', async () => {
    assert.deepEqual(listed((await pack({ buildOutput: ['dist'] })).file), [
      'dist/index.js',
      'node_modules/a/index.js',
    ]);
    await assert.rejects(pack({ buildOutput: ['out'] }), /build-output names out/);
  });

  test('row 114: a cancel ends the packing of a large build at once', async () => {
    const large = join(checkout, 'dist/large');
    writeFileSync(large, '');
    truncateSync(large, 8 * 1024 ** 3);
    const folder = join(work, 'cancelled');
    mkdirSync(folder);
    const controller = new AbortController();
    const packing = pack({ folder, signal: controller.signal });
    const refused = assert.rejects(packing, Cancelled);
    await until('tar to begin', () => existsSync(join(folder, 'build.tgz')));
    const cancelled = performance.now();
    controller.abort();
    await refused;
    assert.ok(performance.now() - cancelled < 2_000);
    rmSync(large);
  });

  test('a checkout at another commit is refused', async () => {
    await assert.rejects(pack({ sha: 'f'.repeat(40) }), /the checkout is at .*, not at ffffffffffff/);
  });

  test('without a build it is refused', async () => {
    const bare = join(work, 'bare');
    origin.git('clone', '-q', origin.url, bare);
    await assert.rejects(pack({ workingDirectory: bare }), /found no build/);
    writeFileSync(join(bare, 'gha-creds-4567.json'), '{}');
    await assert.rejects(
      pack({ workingDirectory: bare }),
      /found no build .*git ignores only gha-creds-4567/,
    );
  });

  test('paths: env files and shared paths below folders are left out too', () => {
    const ignored = [
      'apps/web/.env',
      'apps/web/dist/',
      'uploads/old/',
      '.env.production',
      'apps/web/node_modules/',
      '',
    ];
    const packed = (more: string[], named: string[], shared: string[]): string[] =>
      pathsToPack([...ignored, ...more], named, shared).paths;
    assert.deepEqual(packed([], [], ['uploads']), ['apps/web/dist', 'apps/web/node_modules']);
    assert.deepEqual(packed([], ['out'], []), ['out', 'apps/web/node_modules']);
    const made = ['public/sw.js', 'src/generated/', 'dist/half-tracked.js', '.yarn/cache/', '.pnp.cjs'];
    assert.deepEqual(
      packed(made, [], ['uploads']).slice(2),
      made.map((path) => path.replace(/\/$/, '')),
    );
    const partly = ['public/', 'public/sw.js', 'public/uploads/'];
    assert.deepEqual(packed(partly, [], ['uploads', 'public/uploads']).slice(2), ['public/sw.js']);
    const other = ['lib/firebase.json', 'build/keys/tls.pem', 'id_ed25519', '.vercel/', 'coverage/'];
    assert.deepEqual(packed(other, [], ['uploads']), ['apps/web/dist', 'apps/web/node_modules']);
  });
});

test('the digest of a packed build does not change on the way', async () => {
  const server = await startSshd({ kind: 'embedded' });
  const fleet = openFleet({ ssh: sshSettings([server]) }, { dist: '', log: () => {} });
  try {
    const bytes = randomBytes(1_000_000);
    const digest = (content: Buffer): string => createHash('sha256').update(content).digest('hex');
    const path = await storeFile(fleet.hosts[0]!, {
      folder: server.home,
      name: 'b.tgz',
      content: Readable.from([bytes]),
    });
    assert.equal(digest(readFileSync(path)), digest(bytes));
  } finally {
    await fleet.close();
    await server.stop();
  }
});
