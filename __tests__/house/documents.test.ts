import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { parse } from 'yaml';
import { withSection } from '../../bench/measure.js';
import { type InputName, withEnvironment } from '../../src/inputs/input-sources.js';
import { parseSettings } from '../../src/inputs/read.js';

/** What the quick start's secrets and variables may hold; every other expression stands for an ordinary word. */
const VALUES: Record<string, string> = {
  'secrets.DATABASE_URL':
    'postgresql://postgres.abcdefghijklmnopqrst:secret@aws-0-eu-west-1.pooler.supabase.com/postgres',
  'secrets.VPS_SSH_KEY': '-----BEGIN OPENSSH PRIVATE KEY-----',
  'vars.VPS_HOST': 'example.com',
  'vars.VPS_USER': 'deploy',
  'vars.VPS_FINGERPRINT': `SHA256:${'A'.repeat(43)}`,
  'vars.HEALTH_URL': 'https://example.com',
};

/** Of an expression, also under the name that the environment's word stands in front of. */
function filledIn(path: string): string {
  const bare = path
    .slice(path.indexOf('.') + 1)
    .replace(/^STAGING_(?=.*_)/, '')
    .replace(/^STAGING_URL$/, 'HEALTH_URL');
  return VALUES[`secrets.${bare}`] ?? VALUES[`vars.${bare}`] ?? 'word';
}

type With = Record<string, string>;

/** The `with:` of every step of this action in a piece of a workflow. */
function stepsIn(node: unknown): With[] {
  if (Array.isArray(node)) return node.flatMap(stepsIn);
  if (typeof node !== 'object' || node === null) return [];
  const { uses, with: given = {} } = node as { uses?: string; with?: With };
  const own = uses?.startsWith('muva/deploy-action@') ? [given] : [];
  return [...own, ...Object.values(node).flatMap(stepsIn)];
}

function yamlIn(path: string): unknown[] {
  const blocks = readFileSync(path, 'utf8').matchAll(/^```yaml\n([\s\S]*?)^```/gm);
  return [...blocks].map(([, code]) => parse(code!, { schema: 'failsafe' }) as unknown);
}

function problemsWith(inputs: With): string[] {
  const filled = (name: InputName): string =>
    (inputs[name] ?? '').replaceAll(/\$\{\{ (.*?) \}\}/g, (_, path: string) => filledIn(path));
  const run = { id: '1', attempt: 1, sha: '0'.repeat(40), serverUrl: 'https://github.com', fork: false };
  const around = { run, terminal: false, workspace: '/', holdsMigrations: () => true };
  return parseSettings(withEnvironment(filled, {}), around).problems.map(({ message }) => message);
}

describe('the documents', () => {
  const documents = [
    ...['README.md', 'README.es.md'],
    ...readdirSync('docs', { recursive: true, encoding: 'utf8' }).map((file) => join('docs', file)),
  ].filter((file) => file.endsWith('.md'));
  const [quickStart] = stepsIn(parse(readFileSync('examples/staging.yml', 'utf8'), { schema: 'failsafe' }));

  test('every step that they show is accepted, added to the quick start', () => {
    let shown = 0;
    for (const path of documents)
      for (const given of yamlIn(path).flatMap(stepsIn)) {
        shown++;
        assert.deepEqual(problemsWith({ ...quickStart, ...given }), [], `${path}: ${JSON.stringify(given)}`);
      }
    assert.ok(shown > 8, `only ${shown} steps were found`);
  });

  test('every promise of SECURITY.md is shown by tests that are there and hold the rows that it names', () => {
    const promises = readFileSync('SECURITY.md', 'utf8')
      .split('\n')
      .filter((line) => line.startsWith('| ') && !/^\| (Promise|---) /.test(line))
      .map((line) => line.split(' | ').at(-1)!);
    assert.ok(promises.length > 12);
    for (const shown of promises) {
      const files = [...shown.matchAll(/\]\((__tests__\/[^)]+)\)/g)].map(([, path]) =>
        readFileSync(path!, 'utf8'),
      );
      assert.ok(files.length > 0 || shown.includes('`.ci/'), shown);
      const rows = /^rows? ([\d, ]+):/.exec(shown)?.[1]?.split(', ') ?? [];
      for (const row of rows) {
        const title = new RegExp(`\\brows? [\\d, and-]*\\b${row}\\b`);
        assert.ok(
          files.some((text) => title.test(text)),
          `row ${row}: ${shown}`,
        );
      }
    }
  });

  test('the benchmarks stand in their order, whichever was measured last', () => {
    const document = readFileSync('docs/benchmarks.md', 'utf8');
    const sections = [...document.matchAll(/^<!-- ([^/].*) -->\n[\s\S]*?^<!-- \/\1 -->$/gm)];
    assert.ok(sections.length > 5);
    for (const [text, title] of sections)
      assert.equal(
        withSection(document.replace(text, '').replace(/\n{3,}/g, '\n\n'), title!, text),
        document,
      );
  });
});
