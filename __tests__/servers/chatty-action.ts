import { maskSecrets } from '../../src/github/action-inputs.js';
import { githubSink } from '../../src/github/log-sink.js';
import { redactor } from '../../src/lib/redact.js';
import { logPrinter } from '../../src/report/log-printer.js';

/** Run by the local runner: speaks through the GitHub log as the pipeline would; INPUT_SAY picks what. */
const secret = 'p@ss/w0rd-of-the-hotel';
maskSecrets([secret]);
const told = logPrinter(githubSink(), redactor([secret]), 100);

const hostile = [
  'compiling ##[set-output name=a]1',
  '::set-output name=b::2',
  '  ::save-state name=final::yes',
  '::add-mask::hotel',
  '::stop-commands::mine',
  '::error file=a.ts,line=1::not ours',
  'fetch https://deploy:p%40ss%2Fw0rd-of-the-hotel@git.example/x',
  `\x1b[31m${secret.slice(0, 8)}\x1b[0m${secret.slice(8)}`,
  `hex ${Buffer.from(secret).toString('hex')} base64 ${Buffer.from(`xx${secret}yy`).toString('base64')}`,
  '##[endgroup]',
].join('\n');

const scenes: Record<string, () => Promise<void>> = {
  async hostile() {
    // In chunks that end in the middle of lines and of the secret.
    for (let at = 0; at < hostile.length; at += 7)
      told.log({ kind: 'output', source: 'build on host 1', text: hostile.slice(at, at + 7) });
    told.log({ kind: 'line', text: `after the build, hotel\n::set-output name=c::3` });
    told.log({ kind: 'problem', problem: { message: `server said ##[set-output name=d]4 ${secret}` } });
  },
  async silent() {
    told.log({ kind: 'phase-started', phase: 'redeploy', facts: {} });
    told.log({ kind: 'progress', text: 'installing packages...' });
    await new Promise((done) => setTimeout(done, 450));
    told.log({ kind: 'line', text: 'done' });
  },
};
await scenes[process.env.INPUT_SAY ?? '']?.();
told.end();
