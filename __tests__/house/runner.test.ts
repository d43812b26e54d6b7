import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, test } from 'node:test';
import { type RunOptions, type RunResult, runAction } from '../servers/runner.js';

/** The local runner is what the other tests trust, so it is held against small actions first. */
const root = mkdtempSync(join(tmpdir(), 'runner-test-'));
after(() => rmSync(root, { recursive: true, force: true }));

writeFileSync(
  join(root, 'action.yml'),
  `name: Tiny
inputs:
  plain: { default: 'yes' }
  number-like: { default: 22 }
  with blank: { description: no default }
  token: { default: '\${{ github.token }}' }
runs: { using: node24, main: main.js, post: post.js }
`,
);
writeFileSync(
  join(root, 'post.js'),
  `console.log('post of', process.env.STATE_step, process.env['INPUT_PLAIN'])`,
);

async function run(script: string, more: Partial<RunOptions> = {}): Promise<RunResult> {
  writeFileSync(join(root, 'main.js'), script);
  return runAction({ root, workspace: root, ...more });
}

const append = (name: string, text: string): string =>
  `require('fs').appendFileSync(process.env.GITHUB_${name}, ${JSON.stringify(text)});`;

describe('the local runner', () => {
  test('hands over inputs with dashes kept, defaults as text, and no GITHUB_TOKEN', async () => {
    const { log, exitCode } = await run(
      `const e = process.env;
       console.log(JSON.stringify([e['INPUT_PLAIN'], e['INPUT_NUMBER-LIKE'], e['INPUT_WITH_BLANK'], e.GITHUB_TOKEN ?? null,
         e['INPUT_TOKEN'].length > 5, process.stdin.isTTY ?? false, process.stdout.isTTY ?? false, process.cwd() === e.GITHUB_WORKSPACE]));`,
      { inputs: { Plain: 'no' } },
    );
    assert.equal(exitCode, 0);
    assert.deepEqual(JSON.parse(log), ['no', '22', '', null, true, false, false, true]);
  });

  test('reads the command files strictly', async () => {
    const good = await run(append('OUTPUT', 'a=1\nb<<END\nx\n=y\nEND\n') + append('STATE', 'step=three\n'));
    assert.deepEqual(good.outputs, { a: '1', b: 'x\n=y' });
    assert.equal(good.post?.log, 'post of three yes');
    for (const bad of ['just words\n', 'b<<END\nx\n', '=1\n']) {
      const result = await run(append('OUTPUT', bad));
      assert.equal(result.conclusion, 'failure', bad);
      assert.match(result.log, /##\[error\]Invalid/);
    }
  });

  test('obeys commands on both streams, and the old syntax anywhere in a line, unless they are stopped', async () => {
    const { outputs, log } = await run(
      `console.error('  ::set-output name=a::1');
       console.log('built in 3 s ##[set-output name=b]2');
       console.log('::stop-commands::xyzzy-token');
       console.log('::set-output name=c::3');
       console.log('##[set-output name=d]4');
       console.log('::xyzzy-token::');
       console.log('::set-output name=e::5');`,
    );
    assert.deepEqual(outputs, { a: '1', b: '2', e: '5' });
    assert.match(log, /::set-output name=c::3/);
  });

  test('masks values, their lines and their encodings, but not a decoded password', async () => {
    const { log } = await run(
      `console.log('::add-mask::p%40ss%25word%0Asecond-line');
       console.log('second-line ' + Buffer.from('second-line').toString('base64') + ' ' + encodeURIComponent('p%40ss') );
       console.log('decoded p@ss');`,
      { secrets: ['another-secret'] },
    );
    assert.equal(log, '::add-mask::***\n*** ***= p%2540ss\ndecoded p@ss');
  });

  test('keeps ten annotations of a level, cut to 4,096 characters', async () => {
    const { annotations, annotationsSaid } = await run(
      `for (let i = 1; i <= 12; i++) console.log('::error file=a.sql,line=' + i + ',col=2::' + 'x'.repeat(5000))`,
    );
    assert.equal(annotationsSaid, 12);
    assert.equal(annotations.length, 10);
    assert.equal(annotations[0]?.message.length, 4_096);
    assert.deepEqual([annotations[2]?.file, annotations[2]?.line, annotations[2]?.column], ['a.sql', 3, 2]);
  });

  test('shows no summary above 1 MiB', async () => {
    assert.equal((await run(append('STEP_SUMMARY', '# hi'))).summary, '# hi');
    const big = await run(
      `require('fs').writeFileSync(process.env.GITHUB_STEP_SUMMARY, 'x'.repeat(1024 * 1024 + 1))`,
    );
    assert.equal(big.summary, '');
    assert.equal(big.conclusion, 'success');
  });

  test('cancels by SIGINT, then runs post; a forced cancel runs no post', async () => {
    const forever = `console.log('ready'); setInterval(() => {}, 1000);`;
    const polite = await run(
      `process.on('SIGINT', () => { console.log('bye'); process.exit(3) }); ${forever}`,
      {
        cancelAfter: (log) => log.includes('ready'),
      },
    );
    assert.deepEqual([polite.conclusion, polite.exitCode], ['cancelled', 3]);
    assert.match(polite.post?.log ?? '', /^post of/);
    const plain = await run(forever, { cancelAfter: (log) => log.includes('ready') });
    assert.equal(plain.signal, 'SIGINT');
    const forced = await run(`process.on('SIGINT', () => {}); ${forever}`, {
      cancelAfter: (log) => log.includes('ready'),
      force: true,
    });
    assert.deepEqual([forced.signal, forced.post], ['SIGKILL', undefined]);
  });
});
