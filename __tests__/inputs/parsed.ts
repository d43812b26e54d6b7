import assert from 'node:assert/strict';
import { type InputName, withEnvironment } from '../../src/inputs/input-sources.js';
import { parseSettings } from '../../src/inputs/read.js';
import type { InputProblem, Run, Settings } from '../../src/inputs/settings.js';

const RUN: Run = { id: '1', attempt: 1, serverUrl: 'https://github.com', fork: false, sha: 'a'.repeat(40) };
export const URL_OK = 'postgresql://deploy:s3cr3t-w0rd@db.example.com:5432/postgres';
export const SSH: Inputs = {
  'ssh-host': 'vps.example.com',
  'ssh-user': 'deploy',
  'ssh-private-key': '-----BEGIN OPENSSH PRIVATE KEY-----\nx\n-----END OPENSSH PRIVATE KEY-----',
  'ssh-fingerprint': `SHA256:${'A'.repeat(43)}`,
  'app-path': '/var/www/app',
  'app-name': 'web',
};

export type Inputs = Partial<Record<InputName, string>>;
export interface Around {
  run?: Partial<Run>;
  terminal?: boolean;
  migrations?: boolean;
  env?: NodeJS.ProcessEnv;
}

export function parse(
  inputs: Inputs,
  around: Around = {},
): { settings?: Settings | undefined; problems: readonly InputProblem[] } {
  const read = withEnvironment((name) => inputs[name] ?? '', around.env ?? {});
  return parseSettings(read, {
    run: { ...RUN, ...around.run },
    terminal: around.terminal ?? false,
    workspace: '/work',
    holdsMigrations: () => around.migrations ?? false,
  });
}

/** Asserts a refusal: the complaint names the input, says what would be right, and holds none of `hidden`. */
export function refused(
  inputs: Inputs,
  input: InputName,
  expected: RegExp,
  around: Around = {},
  hidden: string[] = [],
): void {
  const { settings, problems } = parse(inputs, around);
  assert.equal(settings, undefined);
  const mine = problems.filter(
    (problem) => problem.input === input && problem.message.startsWith(`${input}: `),
  );
  assert.ok(mine.length > 0, `no complaint about ${input}: ${JSON.stringify(problems)}`);
  assert.match(mine.map((problem) => `${problem.message} ${problem.next}`).join('\n'), expected);
  for (const secret of hidden)
    assert.ok(!JSON.stringify(problems).includes(secret), 'a secret is in the complaint');
}

export function accepted(inputs: Inputs, around: Around = {}): Settings {
  const { settings, problems } = parse(inputs, around);
  assert.deepEqual(problems, []);
  assert.ok(settings);
  return settings;
}
