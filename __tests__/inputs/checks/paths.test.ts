import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { accepted, refused, SSH, URL_OK } from '../parsed.js';

describe('row 9: paths in the application', () => {
  test('one pair of quotes around a path is taken off, and `./` and a slash at the end', () => {
    const { vps } = accepted({
      ...SSH,
      'app-path': '"/var/www/app"',
      'shared-paths': '"storage"\n\'uploads/\', ./public//media',
      'build-output': '`dist`\n"a, b"',
      'env-file-path': '"./config/.env"',
    });
    assert.equal(vps?.appPath, '/var/www/app');
    assert.deepEqual(vps.sharedPaths, ['storage', 'uploads', 'public/media']);
    assert.deepEqual(vps.buildOutput, ['dist', 'a, b']);
    assert.equal(vps.envFilePath, 'config/.env');
    const database = accepted({ 'database-url': URL_OK, 'migrations-dir': '"db/migrations"' });
    assert.equal(database.files.migrationsDir, 'db/migrations');
    const health = accepted({ 'database-url': URL_OK, 'health-paths': '"/", "/api/health"' }).health;
    assert.deepEqual(health.paths, ['/', '/api/health']);
  });

  const WRONG: [path: string, said: RegExp][] = [
    ['.', /"\." means the whole application/],
    ['./', /means the whole application/],
    ['.git', /git's own folder/],
    ['./.git/hooks', /git's own folder/],
    ['dist/*', /"dist\/\*" holds \*: patterns are not resolved/],
    ['log?', /holds \?/],
    ['~/uploads', /"~\/uploads" starts with ~/],
    ['"storage "', /"storage " begins or ends with a blank/],
    ["'storage", /begins or ends with a quote/],
    ['a\\b', /holds a backslash/],
    ['/uploads', /"\/uploads" is an absolute path/],
    ['a/../../b', /leads out/],
  ];
  for (const [path, said] of WRONG)
    test(`${path} is refused, with the entry named`, () => {
      refused({ ...SSH, 'shared-paths': `storage\n${path}` }, 'shared-paths', said);
      refused({ ...SSH, 'build-output': path }, 'build-output', said);
      refused({ ...SSH, 'env-file-path': path }, 'env-file-path', said);
    });

  test('a quote that is not closed, and an env-file-path that is a folder', () => {
    refused({ ...SSH, 'shared-paths': '"storage\nuploads' }, 'shared-paths', /quote that is not closed/);
    refused({ ...SSH, 'env-file-path': 'config/' }, 'env-file-path', /"config\/" is a folder/);
  });

  test('blanks, brackets and what a shell would read are literal', () => {
    const paths = ['my files', '$(id)', 'app/[slug]', 'añadir'];
    assert.deepEqual(accepted({ ...SSH, 'shared-paths': paths.join('\n') }).vps?.sharedPaths, paths);
  });

  test('the quotes of a table name are SQL and stay', () => {
    const tables = accepted({ 'database-url': URL_OK, 'required-tables': '"Hotels"' }).database
      ?.requiredTables;
    assert.deepEqual(tables, [{ schema: 'public', name: 'Hotels' }]);
  });
});
