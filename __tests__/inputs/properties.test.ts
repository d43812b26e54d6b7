import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { parseDatabaseUrl } from '../../src/inputs/checks/database-url.js';
import {
  checkGitRef,
  checkProcessName,
  parseHostAddress,
  parseQualifiedName,
} from '../../src/inputs/checks/names.js';
import { checkRelativePath, checkRemotePath } from '../../src/inputs/checks/paths.js';
import { INPUT_NAMES, type InputName, inputRule, withEnvironment } from '../../src/inputs/input-sources.js';
import { splitList } from '../../src/inputs/lists.js';
import { nearest } from '../../src/inputs/nearest.js';
import { parseSettings } from '../../src/inputs/read.js';
import { secretInputs } from '../../src/inputs/secret-inputs.js';
import { MODES } from '../../src/inputs/settings.js';
import { parseDuration } from '../../src/lib/duration.js';
import { invisibleCharacter } from '../../src/lib/invisible.js';

/** A failing run is repeated with SEED=<number>. */
const seed = Number(process.env.SEED ?? Date.now() % 1_000_000_000);
console.log(`seed ${seed}`);
const holds = <T>(arbitrary: fc.Arbitrary<T>, predicate: (value: T) => void, numRuns = 500): void =>
  fc.assert(
    fc.property(arbitrary, (value) => predicate(value)),
    { seed, numRuns },
  );

/** Any text: all planes, control characters, quotes; and texts made of what parsers stumble over. */
const anyText = fc.oneof(
  fc.string({ unit: 'binary', maxLength: 40 }),
  fc.string({ maxLength: 40 }),
  fc
    .array(
      fc.constantFrom(
        '@',
        ':',
        '/',
        '?',
        '#',
        '%',
        '\\',
        '"',
        "'",
        '$(id)',
        '`',
        '\n',
        ' ',
        '..',
        '-',
        '~',
        'ñ',
        '\u202e',
        'a',
      ),
      { maxLength: 12 },
    )
    .map((pieces) => pieces.join('')),
);
const someText = anyText.filter((text) => text !== '');
const hostName = fc.constantFrom(
  'db.example.com',
  'localhost',
  '127.0.0.1',
  'a-b.c',
  'xn--bcher-kva.example',
);
const port = fc.integer({ min: 1, max: 65_535 });

describe('parseDatabaseUrl', () => {
  test('gives back every part of an encoded URL', () => {
    const parts = fc.record({
      user: someText,
      password: someText,
      host: hostName,
      port,
      database: someText.filter((name) => !name.includes('/') && name !== '.' && name !== '..'),
    });
    holds(parts, ({ user, password, host, port: number, database }) => {
      const encoded = [user, password, database].map(encodeURIComponent);
      const parsed = parseDatabaseUrl(
        `postgresql://${encoded[0]}:${encoded[1]}@${host}:${number}/${encoded[2]}?sslmode=require`,
      );
      assert.ok('address' in parsed, JSON.stringify(parsed));
      const { address } = parsed;
      assert.deepEqual(
        [address.user, address.password.reveal(), address.host, address.port, address.database],
        [user, password, host, number, database],
      );
    });
  });

  test('never throws, and repeats nothing of what it refuses', () => {
    const canary = fc.stringMatching(/^[a-z0-9]{12}$/);
    holds(fc.tuple(canary, anyText, anyText), ([secret, before, after]) => {
      for (const url of [
        `postgres://u:${before}${secret}${after}@db.example.com/x`,
        `${before}${secret}`,
        `postgres://${secret}${after}`,
      ]) {
        const parsed = parseDatabaseUrl(url);
        if ('wrong' in parsed) assert.ok(!JSON.stringify(parsed).includes(secret));
      }
    });
  });
});

describe('durations', () => {
  const units = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000 };

  test('a whole number with a unit is that many milliseconds', () => {
    const unit = fc.constantFrom('ms', 's', 'm', 'h');
    holds(fc.tuple(fc.nat({ max: 999_999 }), unit), ([number, name]) => {
      assert.equal(parseDuration(` ${number}${name}\n`), number * units[name]);
    });
  });

  test('nothing else is a duration', () => {
    const near = fc.tuple(
      fc.constantFrom('', '-', '+', '1.', '1e', ' 1', '0x'),
      fc.nat({ max: 99 }).map(String),
      fc.constantFrom('', 'min', 'sec', 'd', 'S', 's s', 'ms1', ' s', 'µs'),
    );
    holds(
      fc.oneof(
        anyText,
        near.map((parts) => parts.join('')),
      ),
      (text) => {
        const parsed = parseDuration(text);
        assert.equal(parsed !== undefined, /^\s*\d{1,9}(ms|s|m|h)\s*$/.test(text), JSON.stringify(text));
      },
    );
  });
});

describe('lists', () => {
  const item = fc.stringMatching(/^[A-Za-z0-9._/@:-]{1,12}$/);
  const separator = fc.constantFrom(',', '\n', '\r\n', ' , ', ',\n', '\n\n  ');

  test('items come back whatever separates them', () => {
    holds(
      fc.tuple(fc.array(item, { maxLength: 8 }), fc.array(separator, { minLength: 8, maxLength: 8 })),
      ([items, separators]) => {
        const text = items.map((entry, index) => entry + separators[index]).join('');
        assert.deepEqual(splitList(text), items);
      },
    );
  });

  test('no item is empty or has white space around it, and splitting again changes nothing', () => {
    holds(anyText, (text) => {
      const items = splitList(text);
      for (const entry of items) assert.ok(entry !== '' && entry === entry.trim());
      if (!text.includes('"')) assert.deepEqual(splitList(items.join('\n')), items);
    });
  });

  test('quoted table names survive the list and are read as SQL reads them', () => {
    const name = someText.filter((text) => invisibleCharacter(text) === undefined && text.trim() === text);
    holds(fc.array(fc.tuple(name, name), { minLength: 1, maxLength: 4 }), (pairs) => {
      const quoted = (text: string): string => `"${text.replaceAll('"', '""')}"`;
      const text = pairs.map(([schema, table]) => `${quoted(schema)}.${quoted(table)}`).join(', ');
      assert.deepEqual(
        splitList(text).map(parseQualifiedName),
        pairs.map(([schema, table]) => ({ schema, name: table })),
      );
    });
  });
});

describe('names and paths', () => {
  test('row 10: every ref that is accepted is one that git accepts, and no option', () => {
    const piece = fc.constantFrom(
      'a',
      'B',
      '7',
      '-',
      '.',
      '/',
      '@',
      '{',
      '~',
      '^',
      ':',
      '..',
      '.lock',
      ';',
      '$',
      ' ',
      '_',
      'ñ',
      '\\',
      '*',
      '[',
      '#',
      '%',
      '+',
      '=',
      ',',
    );
    const ref = fc.array(piece, { minLength: 1, maxLength: 6 }).map((pieces) => pieces.join(''));
    const accepted = new Set<string>();
    holds(
      ref,
      (text) => {
        if (checkGitRef(text) === undefined) accepted.add(text);
      },
      400,
    );
    assert.ok(accepted.size > 20, `only ${accepted.size} accepted`);
    for (const text of [...accepted].slice(0, 120)) {
      assert.ok(!text.startsWith('-'));
      const { status } = spawnSync('git', ['check-ref-format', `refs/heads/${text}`]);
      assert.equal(status, 0, JSON.stringify(text));
    }
  });

  test('row 9: an accepted path stays inside, an accepted folder is absolute and normal', () => {
    holds(anyText, (text) => {
      if (checkRelativePath(text) === undefined) {
        const { pathname } = new URL(
          `file:///project/${text.split(/[\\/]/).map(encodeURIComponent).join('/')}`,
        );
        assert.ok(pathname.startsWith('/project/'), text);
        assert.ok(!text.startsWith('-') && !text.startsWith('/'));
      }
      const folder = `/${text}`;
      if (checkRemotePath(folder) === undefined)
        assert.ok(!folder.split('/').some((part) => part === '.' || part === '..'));
    });
  });

  test('row 13: whatever holds an invisible character is refused with its code point', () => {
    const invisible = fc.constantFrom(
      '\0',
      '\u0007',
      '\u001b',
      '\u200b',
      '\u202e',
      '\u2066',
      '\ufeff',
      '\u2028',
      '\u{e0001}',
    );
    const letters = fc.constantFrom('añadir', 'web', '日本', 'é');
    holds(fc.tuple(letters, invisible, letters), ([before, character, after]) => {
      const point = `U+${character.codePointAt(0)!.toString(16).toUpperCase().padStart(4, '0')}`;
      for (const check of [checkGitRef, checkProcessName, checkRelativePath])
        assert.ok(check(before + character + after)?.wrong.includes(point));
      for (const check of [checkGitRef, checkProcessName, checkRelativePath])
        assert.equal(check(before + after), undefined);
    });
  });

  test('hosts come back with their user and port', () => {
    const host = fc.oneof(
      fc.constantFrom('vps', 'a.example.com', '203.0.113.7'),
      fc.constantFrom('2001:db8::1', '::1').map((address) => `[${address}]`),
    );
    const user = fc.constantFrom(undefined, 'deploy', '_x-1');
    holds(fc.tuple(user, host, fc.option(port, { nil: undefined })), ([name, address, number]) => {
      const text = `${name === undefined ? '' : `${name}@`}${address}${number === undefined ? '' : `:${number}`}`;
      assert.deepEqual(parseHostAddress(text), {
        host: address.replace(/^\[|\]$/g, ''),
        ...(number === undefined ? {} : { port: number }),
        ...(name === undefined ? {} : { user: name }),
      });
    });
  });
});

test('row 1: one slip of the finger in a mode is understood', () => {
  holds(fc.tuple(fc.constantFrom(...MODES), fc.nat(), fc.constantFrom('x', 'q')), ([mode, place, letter]) => {
    const at = place % mode.length;
    for (const slip of [
      mode.slice(0, at) + letter + mode.slice(at),
      mode.slice(0, at) + mode.slice(at + 1),
      mode.slice(0, at) + letter + mode.slice(at + 1),
    ])
      assert.equal(nearest(slip, MODES), mode, slip);
  });
});

describe('parseSettings', () => {
  const around = {
    run: { id: '1', attempt: 1, serverUrl: 'https://github.com', fork: false },
    terminal: false,
    workspace: '/work',
    holdsMigrations: () => true,
  };

  test('never throws whatever the inputs hold, and no secret is in a complaint', () => {
    const canary = fc.stringMatching(/^[a-z0-9]{14}$/);
    const inputs = fc.record(
      Object.fromEntries(INPUT_NAMES.map((name) => [name, anyText])) as Record<
        InputName,
        fc.Arbitrary<string>
      >,
      { requiredKeys: [] },
    );
    const mode = fc.constantFrom<string>(...MODES, 'nonsense');
    holds(
      fc.tuple(inputs, canary, mode),
      ([values, secret, wanted]) => {
        const read = withEnvironment((name) => {
          if (name === 'mode') return wanted;
          const value = values[name] ?? '';
          return inputRule(name).secret && value !== '' ? value + secret : value;
        }, {});
        const { settings, problems } = parseSettings(read, around);
        assert.equal(settings === undefined, problems.length > 0);
        assert.ok(!JSON.stringify(problems).includes(secret));
        for (const problem of problems) assert.ok(problem.next, problem.message);
        secretInputs(read);
      },
      300,
    );
  });
});
