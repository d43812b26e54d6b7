import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { detachedWorker, NO_NODE, RUN_NODE, streamedWorker } from '../../src/server/worker-command.js';
import { parseWorkerLine } from '../../src/server/worker-messages.js';
import { LINE_MARK, type RollbackRequest, type WorkerLine } from '../../src/worker/protocol.js';
import { until } from '../servers/until.js';

const SCRIPT = RUN_NODE.slice("sh -c '".length, -1);
const SHELLS = ['/bin/sh', '/bin/bash', '/bin/dash', '/usr/bin/zsh', '/usr/bin/fish'].filter((shell) =>
  existsSync(shell),
);

/** Of a run; made by the action for each start. */
const KEY = Buffer.alloc(32, 'kEy');

const ROLLBACK = {
  command: 'rollback',
  app: { appPath: "/srv/it's $(app)", appName: 'app', strategy: 'auto', adoptEnvironment: false },
  run: { id: '1', attempt: 1 },
  health: { paths: ['/'], timeout: 1, deadline: 1, successes: 1, checkAssets: false },
  lockWait: 1,
  timeout: 1,
} satisfies RollbackRequest;

let root: string;
let home: string;
let tools: string;
before(() => {
  root = mkdtempSync(join(tmpdir(), 'muva-remote-'));
});
after(() => rmSync(root, { recursive: true, force: true }));

/** A server without Node on PATH, with a new home, and with what the shell text needs. */
function bareServer(): void {
  home = mkdtempSync(join(root, 'home-'));
  tools = join(home, 'tools');
  mkdirSync(tools);
  for (const tool of ['sh', 'cat', 'readlink'])
    symlinkSync(
      ['/bin', '/usr/bin'].map((folder) => join(folder, tool)).find((file) => existsSync(file))!,
      join(tools, tool),
    );
}

/** Puts a program at a path below home; a fake Node tells its version and then hands over to the real one. */
function put(path: string, version?: string): string {
  const file = join(home, path);
  mkdirSync(dirname(file), { recursive: true });
  const text = version
    ? `#!/bin/sh\nif [ "$1" = --version ]; then echo v${version}; else NODE_TAKEN=$0 exec ${process.execPath} "$@"; fi\n`
    : '#!/bin/sh\necho pm2\n';
  writeFileSync(file, text, { mode: 0o755 });
  return file;
}

function run(
  program: string,
  options: { shell?: string; env?: Record<string, string>; script?: string } = {},
): { code: number | null; stdout: string; stderr: string } {
  const { status, stdout, stderr } = spawnSync(
    options.shell ?? '/bin/sh',
    ['-c', options.script ?? RUN_NODE],
    {
      input: program,
      encoding: 'utf8',
      cwd: home,
      env: { PATH: tools, HOME: home, ...options.env },
    },
  );
  return { code: status, stdout, stderr };
}

const WHICH = 'console.log(process.env.NODE_TAKEN ?? process.execPath, process.cwd())';

describe('the shell text', () => {
  test('holds nothing that a login shell could take out of its single quotes', () => {
    assert.doesNotMatch(SCRIPT, /['\\]/);
    assert.match(RUN_NODE, /^sh -c '[^']*'$/);
  });

  for (const shell of SHELLS) {
    test(`row 88: runs a program in Node, in the folder / and never in HOME, from the login shell ${shell}`, () => {
      bareServer();
      put('.nvm/versions/node/v20.1.0/bin/node', '20.1.0');
      const { stdout, stderr } = run(WHICH, { shell });
      assert.equal(stdout, `\n${join(home, '.nvm/versions/node/v20.1.0/bin/node')} /\n`);
      assert.equal(stderr, '');
    });
  }

  test('row 89: a text that was cut anywhere runs nothing', () => {
    bareServer();
    put('.nvm/versions/node/v20.1.0/bin/node', '20.1.0');
    const proof = join(home, 'proof');
    const program = `require("node:fs").writeFileSync(${JSON.stringify(proof)}, "")`;
    const whole = SCRIPT.length - 'main "$@"'.length;
    for (let length = 0; length <= whole; length += 37) {
      run(program, { script: SCRIPT.slice(0, length) });
      assert.ok(!existsSync(proof), `the first ${length} characters ran the program`);
    }
    run(program, { script: SCRIPT });
    assert.ok(existsSync(proof));
  });
});

describe('where Node is found', () => {
  const places = [
    '.nvm/versions/node/v20.1.0/bin',
    '.fnm/node-versions/v20.1.0/installation/bin',
    '.local/share/fnm/node-versions/v20.1.0/installation/bin',
    '.local/share/fnm/aliases/default/bin',
    '.volta/bin',
    '.volta/tools/image/node/20.1.0/bin',
    '.asdf/installs/nodejs/20.1.0/bin',
    '.local/share/mise/installs/node/20.1.0/bin',
    '.nodenv/versions/20.1.0/bin',
    'n/bin',
    '.local/bin',
    'bin',
  ];
  for (const place of places) {
    test(`~/${place}, with pm2 on PATH`, () => {
      bareServer();
      const node = put(`${place}/node`, '20.1.0');
      put(`${place}/pm2`);
      const { code, stdout } = run(
        `${WHICH}; console.log(require("node:child_process").execSync("pm2").toString())`,
      );
      assert.equal(stdout.trim().split('\n')[0], `${node} /`);
      assert.match(stdout, /^pm2$/m);
      assert.equal(code, 0);
    });
  }

  test('the one on PATH comes first', () => {
    bareServer();
    put('.nvm/versions/node/v22.0.0/bin/node', '22.0.0');
    const node = put('tools/node', '18.19.0');
    assert.equal(run(WHICH).stdout, `\n${node} /\n`);
  });

  test('one that is too old is passed over, also a broken one', () => {
    bareServer();
    put('tools/node', '12.22.9');
    put('.local/bin/node', 'Segmentation fault');
    put('.nvm/versions/node/v8.17.0/bin/node', '8.17.0');
    const node = put('.nvm/versions/node/v20.1.0/bin/node', '20.1.0');
    assert.equal(run(WHICH).stdout, `\n${node} /\n`);
  });

  test('of several, the one with pm2 beside it, and then the newest', () => {
    bareServer();
    put('.nvm/versions/node/v22.0.0/bin/node', '22.0.0');
    const older = put('.nvm/versions/node/v20.1.0/bin/node', '20.1.0');
    assert.match(run(WHICH).stdout, /v22\.0\.0/);
    put('.nvm/versions/node/v20.1.0/bin/pm2');
    assert.equal(run(WHICH).stdout, `\n${older} /\n`);
  });

  test("the one that PM2's daemon runs on comes before others", () => {
    bareServer();
    put('.nvm/versions/node/v22.0.0/bin/node', '22.0.0');
    put('.nvm/versions/node/v22.0.0/bin/pm2');
    mkdirSync(join(home, '.pm2'));
    writeFileSync(join(home, '.pm2/pm2.pid'), String(process.pid));
    assert.equal(run(WHICH).stdout, `\n${process.execPath} /\n`);
  });

  test('NVM_DIR and their like are honoured', () => {
    bareServer();
    const node = put('elsewhere/nvm/versions/node/v20.1.0/bin/node', '20.1.0');
    assert.equal(run(WHICH, { env: { NVM_DIR: join(home, 'elsewhere/nvm') } }).stdout, `\n${node} /\n`);
  });

  test('without any, an exit code of its own, and nothing is run', () => {
    bareServer();
    put('tools/node', '16.20.0');
    const { code, stdout } = run(WHICH);
    assert.deepEqual([code, stdout], [NO_NODE, '']);
  });
});

describe('the streamed worker', () => {
  const bundle = `const request = globalThis.MUVA_REQUEST;
process.stdout.write(${JSON.stringify(LINE_MARK)} + JSON.stringify({ kind: 'signalled', accepted: true, detail: request.app.appPath }) + "\\n");
require("node:fs").writeFileSync(process.env.HOME + "/ran", "");`;
  const request = { ...ROLLBACK, command: 'go' as const };

  test('gets its request as data, whatever stands in it', () => {
    bareServer();
    put('.nvm/versions/node/v20.1.0/bin/node', '20.1.0');
    const odd = {
      ...request,
      app: { ...request.app, appPath: '/a\'b"c\\d\n$(touch /tmp/x)`e`\u2028</script>' },
    };
    const [line] = answers(run(streamedWorker(bundle, odd)).stdout);
    assert.ok(line?.kind === 'signalled');
    assert.equal(line.detail, odd.app.appPath);
  });

  test('row 89: cut on the way, it runs nothing', () => {
    bareServer();
    put('.nvm/versions/node/v20.1.0/bin/node', '20.1.0');
    const program = streamedWorker(bundle, request);
    for (const part of [0.2, 0.5, 0.8, 0.95, 0.99]) {
      const { stdout } = run(program.slice(0, Math.floor(program.length * part)));
      assert.equal(stdout.trim(), '', String(part));
      assert.ok(!existsSync(join(home, 'ran')));
    }
  });

  test('row 93: what a profile and a MOTD print before and after is told apart', () => {
    const noise = [
      'Welcome to Ubuntu',
      `no newline at the end${'\n'}`,
      '',
      `${LINE_MARK}not json`,
      `${LINE_MARK}{"kind":"heartbeat"}`,
      '{"kind":"heartbeat"}',
    ];
    assert.deepEqual(answers(noise.join('\n')), [{ kind: 'heartbeat' }]);
  });
});

describe('the detached worker', () => {
  const takes = `const { readFileSync, rmSync, writeFileSync } = require("node:fs");
const [key, text] = readFileSync(0, "utf8").split("\\n");
const request = JSON.parse(text);
rmSync(process.argv[process.argv.indexOf("--waiting") + 1]);
writeFileSync(process.env.HOME + "/request", request.app.appPath + " " + process.cwd());
`;

  function start(bundle: string): { answer: WorkerLine | undefined; left: string[] } {
    bareServer();
    put('.nvm/versions/node/v20.1.0/bin/node', '20.1.0');
    mkdirSync(join(home, 'tmp'));
    const { stdout, stderr } = run(detachedWorker(bundle, ROLLBACK, KEY), {
      env: { TMPDIR: join(home, 'tmp') },
    });
    assert.equal(stderr, '');
    return { answer: answers(stdout)[0], left: readdirSync(join(home, 'tmp')) };
  }

  test('goes on in a session of its own when the starter has ended, and leaves no file', async () => {
    const bundle = `${takes}const timer = setInterval(() => {
  if (!require("node:fs").existsSync(process.env.HOME + "/go")) return;
  clearInterval(timer);
  writeFileSync(process.env.HOME + "/done", readFileSync("/proc/self/stat", "utf8"));
}, 10);`;
    const { answer, left } = start(bundle);
    assert.ok(answer?.kind === 'started' && answer.pid > 0);
    assert.deepEqual(left, []);
    writeFileSync(join(home, 'go'), '');
    const done = join(home, 'done');
    await until('the worker to have written', () => existsSync(done) && readFileSync(done, 'utf8') !== '');
    assert.equal(readFileSync(join(home, 'request'), 'utf8'), `${ROLLBACK.app.appPath} /`);
    const [, , , , session] = readFileSync(done, 'utf8')
      .replace(/^.*\) /, '0 ')
      .split(' ');
    assert.equal(Number(session), answer.pid, 'it is the leader of its session');
  });

  test('row 145, row 131: the key of the run and the request come through a pipe, and are in no file, argument or environment', () => {
    const seen = `const fs = require("node:fs");
const folder = require("node:path").dirname(process.argv[1]);
const files = fs.readdirSync(folder).map((name) => fs.readFileSync(folder + "/" + name, "utf8"));
const parent = (name) => fs.readFileSync("/proc/" + process.ppid + "/" + name, "latin1");
const open = [...files, process.argv.join(" "), JSON.stringify(process.env), parent("cmdline"), parent("environ")];
fs.writeFileSync(process.env.HOME + "/open", JSON.stringify({ open, isFile: fs.fstatSync(0).isFile() }));
${takes}writeFileSync(process.env.HOME + "/key", key);`;
    const { answer, left } = start(seen);
    assert.equal(answer?.kind, 'started', JSON.stringify(answer));
    assert.deepEqual(left, []);
    const key = KEY.toString('hex');
    assert.equal(readFileSync(join(home, 'key'), 'utf8'), key);
    const { open, isFile } = JSON.parse(readFileSync(join(home, 'open'), 'utf8')) as {
      open: string[];
      isFile: boolean;
    };
    assert.equal(isFile, false);
    assert.ok(open.some((text) => text.includes('--waiting')) && open.length >= 7, 'all was seen');
    for (const secret of [key, ROLLBACK.app.appPath])
      assert.deepEqual(
        open.filter((text) => text.includes(secret)),
        [],
      );
  });

  test('a worker that refuses at once is heard', () => {
    const { answer, left } = start(
      `${takes}console.log(${JSON.stringify(LINE_MARK)} + JSON.stringify({ kind: "refused", problems: [{ message: "no room" }] })); process.exitCode = 3;`,
    );
    assert.deepEqual(answer, { kind: 'refused', problems: [{ message: 'no room' }] });
    assert.deepEqual(left, []);
  });

  test('a worker that crashes before or after it read its request is told with what it printed', () => {
    for (const bundle of ['throw new Error("boom")', `${takes}throw new Error("boom")`]) {
      const { answer, left } = start(bundle);
      assert.ok(answer?.kind === 'refused');
      assert.match(answer.problems[0]!.message, /did not start: exit code 1 .*boom/s);
      assert.deepEqual(left, []);
    }
  });

  test('row 146: nothing is started from a folder in which every user could exchange it', () => {
    bareServer();
    put('.nvm/versions/node/v20.1.0/bin/node', '20.1.0');
    const open = join(home, 'open');
    mkdirSync(open);
    const start = (mode: number): WorkerLine | undefined => {
      chmodSync(open, mode);
      return answers(run(detachedWorker(takes, ROLLBACK, KEY), { env: { TMPDIR: open } }).stdout)[0];
    };
    const refused = start(0o777);
    assert.ok(refused?.kind === 'refused');
    assert.match(
      refused.problems[0]!.message,
      /can be written by every user of the server and has no sticky bit/,
    );
    assert.ok(!existsSync(join(home, 'request')));
    assert.deepEqual(readdirSync(open), []);
    assert.equal(start(0o1777)?.kind, 'started');
  });

  test('a folder for temporary files that cannot be written is told', () => {
    bareServer();
    put('.nvm/versions/node/v20.1.0/bin/node', '20.1.0');
    const { stdout } = run(detachedWorker('', ROLLBACK, KEY), { env: { TMPDIR: join(home, 'nowhere') } });
    const [answer] = answers(stdout);
    assert.ok(answer?.kind === 'refused');
    assert.match(answer.problems[0]!.message, /could not be stored.*ENOENT/);
  });
});

function answers(stdout: string): WorkerLine[] {
  return stdout.split('\n').flatMap((line) => {
    const parsed = parseWorkerLine(line);
    return parsed === undefined || 'wrong' in parsed ? [] : [parsed.value];
  });
}
