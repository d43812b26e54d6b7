import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { INPUT_NAMES, inputRule } from '../../src/settings/inputs.js';
import { MODES } from '../../src/settings/settings.js';
import { parseFlags, visibleSecrets } from '../../src/terminal/flags.js';
import { helpText } from '../../src/terminal/help.js';

describe('parseFlags', () => {
  const good: [argv: string, values: Record<string, string>][] = [
    ['plan', { mode: 'plan' }],
    ['--mode plan', { mode: 'plan' }],
    ['deploy --app-name hotel --rls=all', { mode: 'deploy', 'app-name': 'hotel', rls: 'all' }],
    ['migrate --include-all', { mode: 'migrate', 'include-all': 'true' }],
    ['--include-all migrate', { mode: 'migrate', 'include-all': 'true' }],
    [
      'deploy --rehearse false --check-assets=false',
      { mode: 'deploy', rehearse: 'false', 'check-assets': 'false' },
    ],
    ['deploy --include-all --drift off', { mode: 'deploy', 'include-all': 'true', drift: 'off' }],
    ['deploy --app-name=--odd', { mode: 'deploy', 'app-name': '--odd' }],
    ['deploy --baseline=', { mode: 'deploy', baseline: '' }],
  ];
  for (const [argv, values] of good)
    test(argv, () => {
      const flags = parseFlags(argv.split(' '));
      assert.deepEqual(flags.problems, []);
      assert.deepEqual(Object.fromEntries(flags.values), values);
    });

  const bad: [argv: string, message: RegExp, next: RegExp][] = [
    ['', /mode: is missing/, /plan \| migrate/],
    ['deploy --app-nmae x', /--app-nmae is not known/, /Did you mean --app-name\?/],
    ['deploy --zzzzzzzz', /--zzzzzzzz is not known/, /^muva-deploy --help/],
    ['deploy -x', /-x is not known/, /--help/],
    ['deploy --app-name', /--app-name has no value/, /--app-name <value>/],
    ['deploy --app-name --rls all', /--app-name has no value/, /--app-name=<value>/],
    ['deploy now', /"now" is one word too many/, /flag/],
    ['deploy --rls all --rls off', /rls is given twice/, /once/],
  ];
  for (const [argv, message, next] of bad)
    test(`refused: muva-deploy ${argv}`, () => {
      const { problems } = parseFlags(argv === '' ? [] : argv.split(' '));
      assert.equal(problems.length, 1, JSON.stringify(problems));
      assert.match(problems[0]!.message, message);
      assert.match(problems[0]!.next ?? '', next);
    });

  test('row 131: a secret given as a flag is warned about, with the variable to use instead', () => {
    const { values } = parseFlags(['health', '--database-url', 'postgresql://x', '--app-name', 'a']);
    assert.deepEqual(visibleSecrets(values), [
      {
        message: 'database-url was given as a flag and can be seen in the process list',
        next: 'Set the environment variable DATABASE_URL instead.',
      },
    ]);
  });

  test('row 131: every secret can come from the environment', () => {
    for (const name of INPUT_NAMES)
      if (inputRule(name).secret) assert.ok(inputRule(name).env.length > 0, name);
  });

  test('--help lists every mode and input', () => {
    const text = helpText();
    for (const name of INPUT_NAMES) assert.ok(name === 'mode' || text.includes(`  --${name}\n`), name);
    for (const mode of MODES) assert.ok(text.includes(`  ${mode} `), mode);
    assert.equal(parseFlags(['--help']).help, true);
    assert.deepEqual(parseFlags(['--help']).problems, []);
  });
});
