import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { after, describe, test } from 'node:test';
import { Cancelled, Failure } from '../../../src/lib/report.js';
import { type BuildCacheOptions, withBuildCache } from '../../../src/worker/build/build-cache.js';
import { openToolbox } from '../../../src/worker/host/toolbox.js';
import { GIT_ENV } from '../../servers/origin.js';

const root = mkdtempSync(join(tmpdir(), 'muva-o-cache-'));
after(() => rmSync(root, { recursive: true, force: true }));

function put(folder: string, files: Record<string, string>): void {
  for (const [path, text] of Object.entries(files)) {
    mkdirSync(dirname(join(folder, path)), { recursive: true });
    writeFileSync(join(folder, path), text);
  }
}

const read = (folder: string, path: string): string | undefined =>
  existsSync(join(folder, path)) ? readFileSync(join(folder, path), 'utf8') : undefined;

/** One application, whose stages are built one after the other. */
function application(): {
  state: string;
  live: string;
  /** Makes a stage, builds in it, and says what of the given path it found there. */
  build(options?: {
    makes?: Record<string, string>;
    error?: Error;
    judged?: Error;
    signal?: AbortSignal;
    request?: Partial<BuildCacheOptions['request']>;
    before?: (stage: string) => void;
    live?: string;
  }): Promise<{ stage: string; found: string | undefined; said: string[]; error: unknown }>;
} {
  const home = mkdtempSync(join(root, 'app-'));
  const [state, live] = [join(home, 'state'), join(home, 'live')];
  mkdirSync(state);
  mkdirSync(live);
  let stages = 0;
  return {
    state,
    live,
    async build(options = {}) {
      const stage = join(home, `stage-${++stages}`);
      put(stage, { 'package.json': '{}' });
      execFileSync('git', ['init', '-q', stage], { env: { ...process.env, ...GIT_ENV } });
      execFileSync('git', ['-C', stage, 'add', 'package.json'], { env: { ...process.env, ...GIT_ENV } });
      options.before?.(stage);
      const said: string[] = [];
      let found: string | undefined;
      const error = await withBuildCache(
        {
          state: { path: state },
          live: options.live,
          stage: { tools: openToolbox(process.env), folder: stage },
          request: { buildCache: 'on', sharedPaths: [], buildOutput: [], ...options.request },
          reporter: { progress: (text) => void said.push(text) },
          signal: options.signal ?? new AbortController().signal,
        },
        async () => {
          found = read(stage, '.next/cache/webpack/pack');
          put(stage, { '.next/BUILD_ID': 'x', ...options.makes });
          if (options.error) throw options.error;
        },
        async () => {
          if (options.judged) throw options.judged;
        },
      ).then(
        () => undefined,
        (thrown: unknown) => thrown,
      );
      return { stage, found, said, error };
    },
  };
}

const PACK = '.next/cache/webpack/pack';
const broken = (): Failure => new Failure({ message: 'next build ended with 1.', code: '1' });

describe('the caches of builds', () => {
  test('row 173: a build finds those of the build before, and the stage keeps none of them', async () => {
    const app = application();
    const first = await app.build({
      makes: {
        [PACK]: 'one',
        '.next/cache/images/a': 'seen',
        '.turbo/log': 'x',
        'node_modules/.cache/b': 'y',
      },
    });
    assert.equal(first.found, undefined);
    assert.deepEqual(first.said, []);
    assert.equal(read(first.stage, PACK), undefined);
    assert.equal(read(first.stage, '.next/cache/images/a'), 'seen');
    assert.equal(existsSync(join(first.stage, '.turbo')), false);
    assert.equal(statSync(join(app.state, 'build-cache')).mode & 0o777, 0o700);
    const second = await app.build({ makes: { [PACK]: 'two' } });
    assert.equal(second.found, 'one');
    assert.match(second.said.join('\n'), /^warm: .*\.next\/cache \d+ bytes/);
    assert.equal(read(second.stage, '.next/cache/images/a'), undefined);
    assert.equal((await app.build()).found, 'two');
  });

  test('row 173: what is brought is a copy with its times; a build that writes into it changes nothing of the store', async () => {
    const app = application();
    await app.build({ makes: { [PACK]: 'one' } });
    const stored = join(app.state, 'build-cache/current', PACK);
    utimesSync(stored, 1_000_000, 1_000_000);
    const stage = (await app.build({ makes: { [PACK]: 'spoilt' }, error: broken() })).stage;
    assert.equal(readFileSync(stored, 'utf8'), 'one');
    assert.equal(statSync(stored).mtimeMs, 1_000_000_000);
    assert.equal(statSync(stored).nlink, 1);
    assert.equal(read(stage, PACK), 'spoilt');
  });

  test('row 173: after a warm build that failed the next is cold, and that one warms the next again', async () => {
    const app = application();
    await app.build({ makes: { [PACK]: 'one' } });
    const failed = broken();
    assert.equal((await app.build({ makes: { [PACK]: 'bad' }, error: failed })).error, failed);
    const cold = await app.build({ makes: { [PACK]: 'three' } });
    assert.equal(cold.found, undefined);
    assert.deepEqual(cold.said, ['cold: the last warm build failed']);
    assert.equal((await app.build()).found, 'three');
  });

  test('row 173: a warm build that left nothing counts as failed', async () => {
    const app = application();
    await app.build({ makes: { [PACK]: 'one' } });
    await app.build({ judged: new Failure({ message: 'The build ended with 0, but .next was not made.' }) });
    assert.equal((await app.build()).found, undefined);
  });

  test('row 173: of a cold build that failed they are kept where it ended by itself, and only there', async () => {
    const app = application();
    await app.build({ makes: { [PACK]: 'whole' }, error: broken() });
    assert.equal((await app.build({ makes: { [PACK]: 'two' } })).found, 'whole');
    const other = application();
    await other.build({ makes: { [PACK]: 'torn' }, error: new Failure({ message: 'was killed (SIGKILL)' }) });
    assert.equal((await other.build()).found, undefined);
  });

  test('a build that was cancelled changes nothing; after the second in a row the next is cold', async () => {
    const app = application();
    await app.build({ makes: { [PACK]: 'one' } });
    const stopped = { makes: { [PACK]: 'half' }, error: new Cancelled() };
    assert.equal((await app.build(stopped)).found, 'one');
    assert.equal((await app.build(stopped)).found, 'one');
    assert.deepEqual((await app.build({ makes: { [PACK]: 'new' } })).said, [
      'cold: the last 2 warm builds did not end',
    ]);
    assert.equal((await app.build()).found, 'new');
  });

  test('row 173: the first deploy takes those of the live checkout, which keeps its own; later ones do not', async () => {
    const app = application();
    put(app.live, { [PACK]: 'live', '.next/cache/fetch-cache/a': 'old', '.next/BUILD_ID': 'live' });
    const first = await app.build({ live: app.live });
    assert.equal(first.found, 'live');
    assert.equal(read(first.stage, '.next/cache/fetch-cache/a'), undefined);
    assert.equal(read(first.stage, '.next/BUILD_ID'), 'x');
    assert.equal(read(app.live, PACK), 'live');
    put(app.live, { [PACK]: 'changed by hand' });
    await app.build({ live: app.live, before: (stage) => put(stage, { 'x.txt': '' }) });
    assert.equal(read(app.live, PACK), 'changed by hand');
    assert.equal((await app.build({ live: app.live })).found, 'live');
  });

  test('row 173: nothing is brought or taken through a symlink, and off leaves the stage as it was built', async () => {
    const app = application();
    const elsewhere = mkdtempSync(join(root, 'shared-'));
    await app.build({ makes: { [PACK]: 'one', 'node_modules/.cache/b': 'y' } });
    await app.build({ before: (stage) => symlinkSync(elsewhere, join(stage, 'node_modules')) });
    assert.equal(existsSync(join(elsewhere, '.cache')), false);
    put(elsewhere, { '.cache/c': 'of others' });
    await app.build({ before: (stage) => symlinkSync(elsewhere, join(stage, 'node_modules')) });
    assert.equal(read(elsewhere, '.cache/c'), 'of others');
    const off = await app.build({ request: { buildCache: 'off' }, makes: { [PACK]: 'here' } });
    assert.equal(off.found, undefined);
    assert.equal(read(off.stage, PACK), 'here');
    assert.equal(existsSync(join(app.state, 'build-cache')), false);
  });

  test('a store that cannot be used is told, and the build goes on', async () => {
    const app = application();
    writeFileSync(join(app.state, 'build-cache'), 'a file');
    const { error, said } = await app.build({ makes: { [PACK]: 'one' } });
    assert.equal(error, undefined);
    assert.match(said.join('\n'), /^build caches: .*; the build goes on without them/);
  });
});
