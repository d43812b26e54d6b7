import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, normalize } from 'node:path';
import { describe, test } from 'node:test';

/** What each room may import of the other rooms; top-level files of src are rooms of their own. */
const MAY_IMPORT: Record<string, readonly string[]> = {
  lib: [],
  inputs: ['lib'],
  report: ['lib', 'inputs'],
  database: ['lib'],
  // Only the worker's protocol: types and plain values that both bundles share.
  server: ['lib', 'inputs', 'report', 'worker/protocol'],
  http: ['lib'],
  worker: ['lib', 'http'],
  pipeline: ['lib', 'inputs', 'report', 'database', 'server', 'http', 'worker/protocol'],
  github: ['lib', 'inputs', 'report'],
  entry: ['lib', 'inputs', 'report', 'pipeline', 'github'],
};

/** The folders of the large rooms, each built on those before it. */
const FOLDERS: Record<string, readonly string[]> = {
  database: [
    'sql',
    'connection',
    'migrations',
    'history',
    'schema',
    'lint',
    'apply',
    'rollback',
    'backup',
    'measure',
  ],
  worker: ['host', 'state', 'supervisor', 'host-files', 'host-state', 'build', 'cutover', 'run'],
};

/** Packages that only one room may import; everything else outside Node itself is refused. */
const PACKAGES: Record<string, readonly string[]> = {
  '@actions/core': ['report', 'github', 'entry'],
  '@actions/github': ['github'],
  pg: ['database'],
  'libpg-query': ['database'],
  'node-ssh': ['server'],
  ssh2: ['server'],
  yaml: ['entry'],
};

/** Packages that cost start-up time and are therefore imported only where they are used. */
const LAZY = ['pg', 'libpg-query', 'node-ssh', 'ssh2', '@actions/github', 'yaml'];

/**
 * What may start programs. On this machine one file says what they see of the environment, which holds the secrets of
 * the job; on the server the worker does, whose environment is that of the login.
 */
const STARTERS: readonly string[] = [
  'lib/local-programs.ts',
  'server/start-detached.ts',
  'worker/build/rehearse.ts',
  'worker/host/lock.ts',
  'worker/host/run-program.ts',
];

interface Import {
  from: string;
  to: string;
  type: boolean;
  lazy: boolean;
}

function importsOf(file: string): Import[] {
  const code = readFileSync(join('src', file), 'utf8');
  const found: Import[] = [];
  for (const match of code.matchAll(/^(?:import|export)\s+(type\s)?(?:[^;'"]*?\sfrom\s+)?'([^']+)';/gm)) {
    found.push({ from: file, to: match[2]!, type: match[1] !== undefined, lazy: false });
  }
  for (const match of code.matchAll(/(?<!typeof )import\('([^']+)'\)/g))
    found.push({ from: file, to: match[1]!, type: false, lazy: true });
  return found;
}

function roomOf(file: string): string {
  return file.includes('/') ? file.slice(0, file.indexOf('/')) : file;
}

/** The file of src that an import names; undefined for one of a package. */
function targetOf({ from, to }: Import): string | undefined {
  return to.startsWith('.') ? normalize(join(dirname(from), to)).replace(/\.js$/, '.ts') : undefined;
}

/** The first way from a file back to itself; undefined where there is none. */
function circleIn(graph: ReadonlyMap<string, Iterable<string>>): string[] | undefined {
  const done = new Set<string>();
  const visit = (file: string, way: readonly string[]): string[] | undefined => {
    if (way.includes(file)) return [...way.slice(way.indexOf(file)), file];
    if (done.has(file)) return undefined;
    for (const next of graph.get(file) ?? []) {
      const found = visit(next, [...way, file]);
      if (found) return found;
    }
    done.add(file);
    return undefined;
  };
  for (const file of graph.keys()) {
    const found = visit(file, []);
    if (found) return found;
  }
  return undefined;
}

const files = readdirSync('src', { recursive: true })
  .map(String)
  .filter((file) => file.endsWith('.ts'))
  .sort();
const imports = files.flatMap(importsOf);

describe('the house', () => {
  test('every room imports only what lies below it', () => {
    const wrong: string[] = [];
    const used = new Set<string>();
    for (const entry of imports) {
      const target = targetOf(entry);
      if (target === undefined) continue;
      const [from, to] = [roomOf(entry.from), roomOf(target)];
      const allowed = MAY_IMPORT[from];
      assert.ok(allowed, `src/${from} has no place in the house: add it to this test's table`);
      const by = allowed.find((room) => room === to || target === `${room}.ts`);
      used.add(`${from} ${by}`);
      const fine = from === to || by !== undefined;
      if (!fine) wrong.push(`src/${entry.from} imports src/${target}`);
    }
    assert.deepEqual(wrong, []);
    const rooms = Object.entries(MAY_IMPORT);
    const needless = rooms.flatMap(([from, to]) =>
      to.map((room) => `${from} ${room}`).filter((way) => !used.has(way)),
    );
    assert.deepEqual(needless, [], 'the table lets in what nobody imports');
  });

  test('no file imports itself by way of others, not even a type', () => {
    const graph = new Map(files.map((file) => [file, new Set<string>()]));
    for (const entry of imports) graph.get(entry.from)?.add(targetOf(entry) ?? '');
    assert.deepEqual(circleIn(graph), undefined);
    const circle = new Map([
      ['a', ['b']],
      ['b', ['c']],
      ['c', ['b']],
    ]);
    assert.deepEqual(circleIn(circle), ['b', 'c', 'b']);
  });

  for (const [room, folders] of Object.entries(FOLDERS))
    test(`inside src/${room}, each folder builds on those before it alone`, () => {
      /** Files of the room itself stand on all its folders. */
      const levelOf = (file: string): number => {
        const [, folder, rest] = file.split('/');
        return rest === undefined ? folders.length : folders.indexOf(folder!);
      };
      const wrong = imports.flatMap((entry) => {
        const target = targetOf(entry);
        if (target === undefined) return [];
        // What is found out about a host is one type, which all of the worker may name.
        if (room === 'worker' && entry.type) return [];
        if (roomOf(entry.from) !== room || roomOf(target) !== room || target === 'worker/protocol.ts')
          return [];
        const [from, to] = [levelOf(entry.from), levelOf(target)];
        assert.ok(from >= 0 && to >= 0, `src/${entry.from} or src/${target}: add its folder to this test`);
        return to <= from ? [] : [`src/${entry.from} imports src/${target}`];
      });
      assert.deepEqual(wrong, []);
    });

  test('what PM2 is asked and told stays behind the interface of supervisors', () => {
    const folder = 'worker/supervisor/';
    const named = imports.map(({ from, to }) => ({
      from,
      to: to.startsWith('.') ? normalize(join(dirname(from), to)).replace(/\.js$/, '.ts') : to,
    }));
    // The rest of the worker knows the interface, what an entry is, and who chooses; only the choice knows which there are.
    const open = ['supervisor.ts', 'entry.ts', 'choice.ts'].map((file) => folder + file);
    const theirs = ['pm2.ts', 'command.ts'].map((file) => folder + file);
    const wrong = named.filter(({ from, to }) =>
      theirs.includes(to)
        ? from !== `${folder}choice.ts`
        : to.startsWith(folder) && !from.startsWith(folder) && !open.includes(to),
    );
    assert.deepEqual(wrong, []);
    for (const supervisor of theirs) assert.ok(named.some(({ to }) => to === supervisor));
  });

  test('listeners of an abort signal are added by one function, which hears a signal that has fired already', () => {
    const wrong = files.filter(
      (file) =>
        file !== 'lib/when-aborted.ts' &&
        /['"`]abort['"`]|\bonabort\b/.test(readFileSync(join('src', file), 'utf8')),
    );
    assert.deepEqual(wrong, [], 'use whenAborted of src/lib/when-aborted.ts');
  });

  test('every TLS connection is made with the one constant that verifies', () => {
    // Its handshake is let through, so that dates can be told, and judged before anything is sent.
    const judges = 'http/request.ts';
    const making = imports.filter((entry) => !entry.type && /^node:(https|tls|http2)$/.test(entry.to));
    const wrong = files.filter((file) => {
      // Words about the switch are no use of it.
      const words = 'report/summary/spanish-advice.ts';
      if (file === judges || file === 'lib/verified-tls.ts' || file === words) return false;
      const code = readFileSync(join('src', file), 'utf8');
      const makes = making.some(({ from }) => from === file);
      return /rejectUnauthorized|NODE_TLS_REJECT/.test(code) || makes !== code.includes('...VERIFIED_TLS');
    });
    assert.ok(making.length > 3);
    assert.deepEqual(wrong, [], 'use VERIFIED_TLS of src/lib/verified-tls.ts');
  });

  test('files of the project are read in one place, which refuses links out of it', () => {
    // The authorities that Node was told of; the event and the files of the action itself, at paths of the runner; `init`, which
    // writes into the project of the person who types it.
    const others = [
      'database/migrations/project-folder.ts',
      'database/connection/tls.ts',
      'entry/terminal/project-facts.ts',
      'inputs/run-identity.ts',
      'server/fleet/fleet.ts',
      'server/fleet/send-build.ts',
    ];
    const wrong = files.filter(
      (file) =>
        // What runs on the server reads there.
        !/^worker\/|^server\/start-detached/.test(file) &&
        !others.includes(file) &&
        /\b(readFile|readFileSync|createReadStream|openSync|opendir)\b/.test(
          readFileSync(join('src', file), 'utf8'),
        ),
    );
    assert.deepEqual(wrong, [], 'use openFolder of src/database/migrations/project-folder.ts');
  });

  test('each package is imported in one place, and the heavy ones only when used', () => {
    const wrong: string[] = [];
    for (const entry of imports) {
      if (entry.to.startsWith('.') || entry.to.startsWith('node:')) continue;
      const rooms = PACKAGES[entry.to];
      if (!rooms?.includes(roomOf(entry.from))) wrong.push(`src/${entry.from} imports ${entry.to}`);
      else if (LAZY.includes(entry.to) && !entry.type && !entry.lazy)
        wrong.push(`src/${entry.from} imports ${entry.to} before it is used`);
    }
    assert.deepEqual(wrong, []);
  });

  test('programs are started where their environment is made, and nowhere else', () => {
    const starts = /child_process|node:cluster|worker_threads|@actions\/exec|\bexecve\b/;
    const found = files.filter((file) => {
      const types = /^import type [^;]*;\n/gm;
      return starts.test(readFileSync(join('src', file), 'utf8').replaceAll(types, ''));
    });
    assert.deepEqual(found, STARTERS);
  });

  test('every package of PACKAGES is a declared dependency or comes with one', () => {
    const { dependencies } = JSON.parse(readFileSync('package.json', 'utf8')) as {
      dependencies: Record<string, string>;
    };
    // ssh2 is node-ssh's own engine, reached for its types and key tools.
    const undeclared = Object.keys(PACKAGES).filter((name) => !(name in dependencies) && name !== 'ssh2');
    assert.deepEqual(undeclared, []);
    assert.deepEqual(
      Object.keys(dependencies).filter((name) => !(name in PACKAGES)),
      [],
    );
  });
});
