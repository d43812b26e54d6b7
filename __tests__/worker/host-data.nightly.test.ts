import assert from 'node:assert/strict';
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import type { DeployRequest } from '../../src/worker/protocol.js';
import { appFiles, appVersion } from '../servers/fixture-app.js';
import { type Origin, startOrigin } from '../servers/origin.js';
import { startVps, type Vps } from '../servers/vps.js';
import { deployRequest, HEALTH, inspectHost, rollbackRequest, runWorker } from '../servers/worker.js';

const SHORT = { ...HEALTH, deadline: 2_500 };

/** A build that does `more` besides, with `write(path, text)` and the version at hand. */
function buildThat(more: string): { 'build.js': string } {
  const write = `const write = (path, text) => { mkdirSync(require('node:path').dirname(path), { recursive: true }); writeFileSync(path, text); };`;
  return { 'build.js': `${appFiles('x')['build.js']}\n${write}\n${more}\n` };
}

describe('data in an existing checkout', () => {
  let origin: Origin;
  let vps: Vps;
  let state: string;
  before(async () => {
    const files = appFiles('v1');
    origin = startOrigin({
      ...files,
      '.gitignore': `${files['.gitignore']}*.sqlite\ndata/\npublic/uploads/\npublic/up/\nsitemap.xml\nlib\n`,
      'public/sw.js': 'committed',
      'config.json': '{}',
    });
    vps = await startVps(origin, { envLocal: 'GREETING=hello\n' });
    state = join(vps.root, 'var/www/.app.deploy');
  });
  after(async () => {
    await vps?.stop();
    origin?.stop();
  });

  const live = (path: string): string => join(vps.appPath, path);
  const read = (path: string): string | undefined =>
    existsSync(live(path)) ? readFileSync(live(path), 'utf8') : undefined;
  const put = (path: string, text: string): void => {
    mkdirSync(dirname(live(path)), { recursive: true });
    writeFileSync(live(path), text);
  };
  const deploy = async (sha: string, more: Partial<DeployRequest> = {}) => {
    const request = deployRequest(vps, sha, more);
    return { request, ...(await runWorker(vps, request)) };
  };
  const deployed = async (sha: string, more: Partial<DeployRequest> = {}): Promise<DeployRequest> => {
    const { request, result } = await deploy(sha, more);
    assert.equal(result.outcome, 'deployed', JSON.stringify(result));
    return request;
  };
  const rolledBack = async (undoRun: string): Promise<void> => {
    const { result } = await runWorker(vps, rollbackRequest(vps, { undoRun }));
    assert.equal(result.outcome, 'rolled-back', JSON.stringify(result));
  };
  const serves = async (version: string): Promise<void> =>
    assert.equal((await vps.served())?.version, version);
  const DATA = { 'app.sqlite': 'rows', 'data/users.db': 'users', 'public/uploads/photo.jpg': 'photo' };
  const dataIsThere = (): void => {
    for (const [path, text] of Object.entries(DATA)) assert.equal(read(path), text, path);
  };
  const TOUCHES = `for (const path of ['app.sqlite', 'data/users.db', 'public/uploads/.keep']) {
    mkdirSync(require('node:path').dirname(path), { recursive: true });
    require('node:fs').appendFileSync(path, '');
  }`;

  test('a build that touches data of the host is refused before the cutover, and names it', async () => {
    for (const [path, text] of Object.entries(DATA)) put(path, text);
    const { result, steps } = await deploy(origin.commit({ ...appVersion('v2'), ...buildThat(TOUCHES) }));
    assert.equal(result.outcome, 'failed', JSON.stringify(result));
    assert.match(result.problems[0]!.message, /The build made app\.sqlite, data\/users\.db, which lies/);
    assert.match(
      result.problems[0]!.next!,
      /build-output all that it makes: dist, .*app\.sqlite, data\/users\.db/,
    );
    assert.equal(steps.at(-1), 'failed build');
    dataIsThere();
    await serves('v1');
  });

  test('listed in shared-paths it stays, through deploys, pruning and a rollback', async () => {
    const sharedPaths = ['./app.sqlite', 'data/', 'public/uploads'];
    const first = await deployed(origin.head(), { sharedPaths });
    await serves('v2');
    dataIsThere();
    await rolledBack(first.run.id);
    await serves('v1');
    dataIsThere();
    for (const version of ['v3', 'v4', 'v5'])
      await deployed(origin.commit(appVersion(version)), { sharedPaths, keepReleases: 2 });
    dataIsThere();
  });

  test('named output limits what changes place, and what was built and is not named is refused', async () => {
    await deployed(origin.commit(appVersion('v6')), { buildOutput: ['dist'] });
    await serves('v6');
    dataIsThere();
    put('lib/a.js', 'by hand');
    const sha = origin.commit({ ...appVersion('v7'), ...buildThat(`write('lib/a.js', version);`) });
    const refused = await deploy(sha);
    assert.match(refused.result.problems[0]!.message, /The build made lib\/a\.js/);
    await deployed(sha, { buildOutput: ['dist', 'lib'] });
    assert.equal(read('lib/a.js'), 'v7');
    // Found again without a word: the last deploy made it, and nobody wrote to it.
    await deployed(origin.commit(appVersion('v8')));
    assert.equal(read('lib/a.js'), 'v8');
  });

  test('what a deploy made is data as soon as somebody writes to it, also on the way back', async () => {
    const made = { ...appVersion('v9'), ...buildThat(`write('app2.sqlite', 'empty');`) };
    const request = await deployed(origin.commit(made));
    assert.equal(read('app2.sqlite'), 'empty');
    put('app2.sqlite', 'rows of users');
    const { result } = await deploy(origin.commit(appVersion('v10')));
    assert.match(result.problems[0]!.message, /The build made app2\.sqlite/);
    assert.equal(read('app2.sqlite'), 'rows of users');
    await rolledBack(request.run.id);
    assert.equal(read('app2.sqlite'), 'rows of users');
    await deployed(origin.commit({ ...appVersion('v11'), ...buildThat('') }), { explicit: true });
    assert.equal(read('app2.sqlite'), 'rows of users');
  });

  test('what changes while the deploy waits is looked at once more', async () => {
    const build = buildThat(`write('sitemap.xml', version);`);
    await deployed(origin.commit({ ...appVersion('v12'), ...build }));
    assert.equal(read('sitemap.xml'), 'v12');
    const next = deployRequest(vps, origin.commit(appVersion('v13')), { cutover: 'on-go' });
    const run = join(state, 'runs', `${next.run.id}.1.deploy`);
    const running = runWorker(vps, next);
    await vps.run(`until grep -q '"rehearsed"' '${run}/events.jsonl' 2>/dev/null; do sleep 0.05; done`);
    put('sitemap.xml', 'theirs');
    await vps.run(`touch '${run}/go'`);
    const { result } = await running;
    assert.match(result.problems[0]!.message, /The build made sitemap\.xml/, JSON.stringify(result));
    assert.equal(read('sitemap.xml'), 'theirs');
    rmSync(live('sitemap.xml'));
  });

  test('tracked files that the build changes go live as they were rehearsed, and are not taken for changes of people', async () => {
    const build = buildThat(`write('public/sw.js', 'built ' + version);`);
    await deployed(origin.commit({ ...appVersion('v14'), ...build }));
    assert.equal(read('public/sw.js'), 'built v14');
    assert.deepEqual((await inspectHost(vps)).dirtyFiles, []);
    const v15 = await deployed(origin.commit(appVersion('v15')));
    assert.equal(read('public/sw.js'), 'built v15');
    await rolledBack(v15.run.id);
    assert.equal(read('public/sw.js'), 'built v14');
    const sick = appVersion('v16', { crashAtBoot: true, onlyLive: true });
    const { result } = await deploy(origin.commit(sick), { health: SHORT });
    assert.equal(result.outcome, 'put-back', JSON.stringify(result));
    assert.equal(read('public/sw.js'), 'built v14');
    put('public/sw.js', 'by hand');
    assert.deepEqual((await inspectHost(vps)).dirtyFiles, ['public/sw.js']);
    put('public/sw.js', 'built v14');
    assert.deepEqual((await inspectHost(vps)).dirtyFiles, []);
    await deployed(origin.commit({ ...appVersion('v17'), ...buildThat('') }));
    assert.equal(read('public/sw.js'), 'committed');
  });

  test('files that are taken out of git and ignored stay, on the way there and back', async () => {
    const rest = '*.sqlite\ndata/\npublic/uploads/\nsitemap.xml\nlib\n';
    await deployed(
      origin.commit({
        ...appVersion('v18'),
        '.gitignore': `node_modules\ndist\n.env.local\nREVISION\nmade-*\n${rest}`,
        'public/up2/p.jpg': 'photo',
        'conf/.env': 'A=1\n',
        'gone.txt': '',
      }),
    );
    put('keep.txt', 'untracked');
    const ignore = `${appFiles('x')['.gitignore']}${rest}public/up2/\n`;
    const out = { 'public/up2/p.jpg': null, 'conf/.env': null, 'gone.txt': null, '.gitignore': ignore };
    const request = await deployed(origin.commit({ ...appVersion('v19'), ...out }));
    assert.deepEqual(
      [read('public/up2/p.jpg'), read('conf/.env'), read('gone.txt')],
      ['photo', 'A=1\n', undefined],
    );
    put('public/up2/p.jpg', 'a newer photo');
    put('conf/.env', 'A=2\n');
    await rolledBack(request.run.id);
    await serves('v18');
    assert.deepEqual([read('public/up2/p.jpg'), read('gone.txt')], ['a newer photo', '']);
    assert.equal(read('conf/.env'), 'A=1\n', 'a rollback puts the previous environment file back');
    assert.equal(read('keep.txt'), 'untracked');
    await vps.run('git checkout -- .', vps.appPath);
    const sick = appVersion('v20', { crashAtBoot: true, onlyLive: true });
    const { result } = await deploy(origin.commit(sick), { health: SHORT });
    assert.equal(result.outcome, 'put-back', JSON.stringify(result));
    assert.deepEqual([read('public/up2/p.jpg'), read('conf/.env'), read('gone.txt')], ['photo', 'A=1\n', '']);
    await deployed(origin.commit(appVersion('v21')));
    assert.deepEqual([read('public/up2/p.jpg'), read('conf/.env')], ['photo', 'A=1\n']);
  });

  test('an env-file for a path that the commit tracks is refused', async () => {
    const sha = origin.commit({
      ...appVersion('v22'),
      '.env.production': 'A=1\n',
      '.gitignore': 'node_modules\ndist\n.env.local\nREVISION\n',
    });
    const { result } = await deploy(sha, { envFile: 'A=2\n', envFilePath: '.env.production' });
    assert.match(
      result.problems[0]!.message,
      /env-file would be written to \.env\.production, which the commit tracks/,
    );
    origin.commit({
      '.env.production': null,
      '.gitignore': `${appFiles('x')['.gitignore']}*.sqlite\ndata/\npublic/up*/\nsitemap.xml\nlib\n`,
    });
  });

  test('a file that git was told not to look at is refused, and told by a plan', async () => {
    await vps.run('git update-index --skip-worktree config.json', vps.appPath);
    put('config.json', '{"of":"the host"}');
    const refusals = (await inspectHost(vps)).deployRefusals.map(({ message }) => message).join('\n');
    assert.match(refusals, /git was told not to look at config\.json/);
    const { result } = await deploy(origin.commit(appVersion('v23')));
    assert.match(result.problems[0]!.message, /told not to look at config\.json/);
    assert.equal(read('config.json'), '{"of":"the host"}');
    put('config.json', '{}');
    assert.deepEqual((await inspectHost(vps)).deployRefusals, []);
    await vps.run('git update-index --no-skip-worktree config.json', vps.appPath);
  });

  test('row 97: dirty-checkout: stash keeps any bytes, and what is put back has the changes again', async () => {
    const bytes = Buffer.from([0, 255, 254, 10, 200]);
    writeFileSync(live('version.txt'), bytes);
    put('added.txt', 'new');
    await vps.run(
      'git add added.txt && git config diff.noprefix true && git config color.ui always',
      vps.appPath,
    );
    rmSync(live('config.json'));
    const sick = appVersion('v24', { crashAtBoot: true, onlyLive: true });
    const { request, result } = await deploy(origin.commit(sick), { dirtyCheckout: 'stash', health: SHORT });
    assert.equal(result.outcome, 'put-back', JSON.stringify(result));
    assert.deepEqual(readFileSync(live('version.txt')), bytes);
    assert.deepEqual([read('added.txt'), read('config.json')], ['new', undefined]);
    const good = await deployed(origin.commit(appVersion('v25')), { dirtyCheckout: 'stash' });
    assert.deepEqual([read('added.txt'), read('config.json')], [undefined, '{}']);
    await rolledBack(good.run.id);
    assert.deepEqual(readFileSync(live('version.txt')), bytes);
    assert.deepEqual([read('added.txt'), read('config.json')], ['new', undefined]);
    const patch = join(state, 'runs', `${request.run.id}.1.deploy/local-changes.patch`);
    await vps.run(`git reset -q --hard && git apply '${patch}'`, vps.appPath);
    assert.deepEqual(readFileSync(live('version.txt')), bytes);
    await vps.run('git reset -q --hard && rm -f added.txt', vps.appPath);
  });

  test('commits that somebody made on the server stay reachable', async () => {
    await vps.run('git checkout -q -B work && git commit -q --allow-empty -m "on the server"', vps.appPath);
    const own = (await vps.run('git rev-parse HEAD', vps.appPath)).stdout.trim();
    for (const version of ['v26', 'v27', 'v28', 'v29'])
      await deployed(origin.commit(appVersion(version)), { keepReleases: 2 });
    assert.ok(
      !readdirSync(join(state, 'releases')).some((name) => name.endsWith(own.slice(0, 12))),
      'pruned',
    );
    const refs = (await vps.run(`git for-each-ref --contains ${own}`, vps.appPath)).stdout;
    assert.match(refs, new RegExp(`refs/deploys/${own}`));
  });

  test('a folder of the commit in the place of a symlink of the host is refused', async () => {
    const elsewhere = join(vps.root, 'elsewhere');
    mkdirSync(elsewhere);
    await vps.run(`ln -s '${elsewhere}' linked`, vps.appPath);
    const { result } = await deploy(origin.commit({ ...appVersion('v30'), 'linked/.gitkeep': '' }));
    assert.match(result.problems[0]!.message, /lie untracked on the server: linked\./);
  });
});
