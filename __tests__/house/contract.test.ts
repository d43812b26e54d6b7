import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { describe, test } from 'node:test';
import { parse } from 'yaml';
import { inputReader } from '../../src/inputs/input-reader.js';
import { INPUT_NAMES, inputRule, withEnvironment } from '../../src/inputs/input-sources.js';
import { INPUT_PARTS } from '../../src/inputs/table.js';
import { OUTPUT_DESCRIPTIONS, OUTPUT_NAMES } from '../../src/report/outputs.js';

/** The names that users rely on. They are only ever added to: a name that goes missing breaks somebody's workflow. */
const INPUTS =
  `mode skip run-id environment adopt-environment working-directory github-token database-url database-ca-cert
  supabase-project-ref supabase-access-token supabase-service-role-key supabase-api-url migrations-dir transaction
  include-all missing-migrations edited-migrations destructive-changes baseline lock-timeout statement-timeout backup
  backup-to after-health required-tables required-functions rls row-counts drift ssh-host ssh-port ssh-user
  ssh-private-key ssh-passphrase ssh-known-hosts ssh-jump ssh-fingerprint app-path app-name strategy build-on rehearse
  dirty-checkout lock-wait ref build-output repository-url install-command build-command start-command restart-command
  env-file env-file-path shared-paths keep-releases max-parallel deploy-timeout health-url health-paths health-from
  health-port health-timeout health-deadline health-max-latency health-successes check-assets expect-version
  irreversible-migrations shadow-database-url allow-data-loss rollback-on-failure rollback-database rollback-steps
  rollback-to github-deployment comment`.split(/\s+/);
const OUTPUTS =
  `outcome failed-phase failed-step pending applied deferred skipped reverted schema-ahead verified tables
  previous-sha deployed-sha release health healthy rolled-back verdict downtime-ms rollback-ms hosts reversible
  destructive backup-path deployment-id duration-ms report`.split(/\s+/);

/** Promised since the page of the first names was agreed on. */
const INPUTS_SINCE = [
  'migrate-before',
  'down-dir',
  'backup-platform-data',
  'rls-except',
  'verify-sql',
  'language',
  'build-cache',
  'watch',
  'ecosystem',
  'shadow-base',
];
const OUTPUTS_SINCE = ['schema-lead-ms', 'live', 'history'];

interface ActionFile {
  inputs: Record<string, { description: string; default?: string; required?: string }>;
  outputs: Record<string, { description: string; value?: string }>;
  runs: { using: string; main: string; post: string };
  branding: { icon: string; color: string };
}

const action = parse(readFileSync('action.yml', 'utf8'), { schema: 'failsafe' }) as ActionFile;

describe('the contract', () => {
  test('action.yml, the code and the promised names agree on the inputs', () => {
    assert.deepEqual(Object.keys(action.inputs).sort(), [...INPUT_NAMES].sort());
    assert.deepEqual(
      [...INPUTS, ...INPUTS_SINCE].filter((name) => !(INPUT_NAMES as string[]).includes(name)),
      [],
    );
    for (const name of INPUT_NAMES)
      assert.equal(action.inputs[name]!.description, inputRule(name).description, name);
  });

  test('every input belongs to one part, and its default is a value of its kind', () => {
    assert.deepEqual(
      INPUT_PARTS.flatMap(({ inputs }) => Object.keys(inputs)),
      INPUT_NAMES,
    );
    const reader = inputReader(withEnvironment(() => '', {}));
    for (const name of INPUT_NAMES) reader.value(name);
    assert.deepEqual(reader.problems, []);
  });

  test('an input has the same default in both, and none in action.yml where the environment can give it', () => {
    for (const name of INPUT_NAMES) {
      const { fallback, env } = inputRule(name);
      const declared = action.inputs[name]!.default ?? '';
      if (name === 'github-token') assert.equal(declared, '$' + '{{ github.token }}');
      else assert.equal(declared, env.length > 0 ? '' : fallback, name);
    }
  });

  test('action.yml, the code and the promised names agree on the outputs', () => {
    assert.deepEqual(Object.keys(action.outputs), OUTPUT_NAMES);
    assert.deepEqual(
      [...OUTPUTS, ...OUTPUTS_SINCE].filter((name) => !(OUTPUT_NAMES as string[]).includes(name)),
      [],
    );
    for (const name of OUTPUT_NAMES)
      assert.equal(action.outputs[name]!.description, OUTPUT_DESCRIPTIONS[name], name);
  });

  test('the page the names were agreed on says the same, where it lies beside the checkout', (t) => {
    const page = '../shared/CONTRACT.md';
    if (!existsSync(page))
      return t.diagnostic(`${page} is not here: compared with the names in this file instead`);
    const text = readFileSync(page, 'utf8');
    const section = (title: string): string => text.split(`## ${title}`)[1]!.split('\n## ')[0]!;
    const inputs = section('Inputs')
      .split('\n')
      .filter((line) => /^\| [a-z]/.test(line) && !line.startsWith('| input '))
      .flatMap((line) => line.split('|')[1]!.split(','))
      .map((name) => name.trim());
    assert.deepEqual(inputs.sort(), [...INPUTS].sort());
    const outputs = section('Outputs').match(/`[a-z-]+`(?= \(|\s·| ·|\.)/g)!;
    for (const name of OUTPUTS) assert.ok(outputs.includes(`\`${name}\``), name);
  });

  test('the action runs on node24, with a post script of its own', () => {
    assert.deepEqual(action.runs, { using: 'node24', main: 'dist/index.js', post: 'dist/post.js' });
    assert.ok(action.branding.icon && action.branding.color);
  });
});
