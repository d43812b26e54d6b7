import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { redactor } from '../../src/lib/redact.js';
import { wholeLines } from '../../src/lib/whole-lines.js';
import { COMMANDS, parseCommand } from '../servers/runner-commands.js';

const SECRET = 'w0rd-of-the-hotel';
const PASSWORD = 'p@ss/w0rd #1 ñ';
const { redact: plain } = redactor([]);

describe('what the runner or a terminal would obey', () => {
  const cases: [name: string, line: string, expected: string][] = [
    ['plain text stays', 'compiled 12 files: ok :: done', 'compiled 12 files: ok :: done'],
    ['a command at the start', '::set-output name=a::b', ': :set-output name=a::b'],
    ['a command after blanks', '  ::add-mask::hotel', '  : :add-mask::hotel'],
    ['the old syntax anywhere', 'in 3 s ##[set-output name=a]b', 'in 3 s # #[set-output name=a]b'],
    ['colours', '\x1b[31mred\x1b[0m', 'red'],
    ['a hyperlink escape', '\x1b]8;;http://x\x07text\x1b]8;;\x07', 'text'],
    ['NUL and backspace', 'a\0b\bc', 'abc'],
    ['a progress bar', '10%\r50%\r100%\r', '100%'],
    ['colours with colons', 'a\x1b[38:5:196mb\x1b[4:3mc', 'abc'],
    ['a link that ends with ST', 'a\x1b]8;;http://x\x1b\\b', 'ab'],
    ['a character set, as tput resets it', 'a\x1b(B\x1b[mb', 'ab'],
    ['a title without its end', 'a\x1b]0;b', 'a0;b'],
    ['characters without a width, and turned writing', 'a\u200bb\u202ec\ufeffd\u00ade', 'abcde'],
    ['joiners that scripts and emoji need', 'نمی\u200cخواهم 👩\u200d🔧', 'نمی\u200cخواهم 👩\u200d🔧'],
    ['tabs stay', 'a\tb', 'a\tb'],
  ];
  for (const [name, line, expected] of cases)
    test(`row 91: ${name}`, () => assert.equal(plain(line), expected));

  test('row 91: whatever a program prints, the runner finds no command in it', () => {
    const known = new Set<string>(COMMANDS);
    const piece = fc.oneof(
      fc.constantFrom(
        '::',
        '##[',
        '#',
        '[',
        ']',
        ':',
        ' ',
        '\t',
        '\x1b[0m',
        '\0',
        '\r',
        '\u2028',
        '\x85',
        '\n',
        '\ufeff',
      ),
      fc.constantFrom(...COMMANDS),
      fc.string({ maxLength: 4 }),
    );
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 12 }), (pieces) => {
        for (const line of plain(pieces.join('')).split('\n'))
          assert.equal(parseCommand(line, known), undefined, JSON.stringify(line));
      }),
      { numRuns: 2_000 },
    );
  });
});

describe('secrets', () => {
  const { redact } = redactor([SECRET]);
  const [first, last] = [SECRET.slice(0, 5), SECRET.slice(5)];
  const cuts: [name: string, between: string][] = [
    ['colours', '\x1b[31m'],
    ['colours with colons', '\x1b[38:5:196m'],
    ['a link', '\x1b]8;;http://x\x1b\\'],
    ['a line break', '\n'],
    ['a wrapped and indented line', '  \r\n\t  '],
    ['coloured lines', '\x1b[0m\n\x1b[31m'],
    ['a carriage return', '\r'],
    ['what is overwritten behind a line break', '\nxxx\r'],
    ['a character without a width', '\u200b'],
    ['control characters', '\0\x07'],
  ];
  for (const [name, between] of cuts)
    test(`row 150: a secret cut by ${name}`, () =>
      assert.equal(redact(`a ${first}${between}${last} b`), 'a *** b'));

  test('row 150: two secrets that overlap are hidden whole', () => {
    assert.equal(redactor(['hotel-of-sand', 'sand-and-sea']).redact('(hotel-of-sand-and-sea)'), '(***)');
  });

  test('row 150: a secret that itself holds what is made inert, an escape or a tab at a line break', () => {
    for (const secret of ['::canary::##[x]y', 'a1##[canary', 'can\x1b[1mary-5uX8', 'canary\t\n  5uX8 b'])
      assert.equal(redactor([secret]).redact(`a ${secret} b`), 'a *** b', JSON.stringify(secret));
  });

  test('row 150: of a key that was escaped onto one line, also the base64 and hex of its file are hidden', () => {
    const body = Buffer.concat([Buffer.from('openssh-key-v1\0'), randomBytes(300)]).toString('base64');
    const lines = body.match(/.{1,70}/g)!.join('\n');
    const file = `-----BEGIN OPENSSH PRIVATE KEY-----\n${lines}\n-----END OPENSSH PRIVATE KEY-----`;
    const { redact } = redactor([
      `SIGNING_KEY="${file.replaceAll('\n', '\\n')}"`,
      file.replaceAll('\n', '\\n'),
    ]);
    const bytes = Buffer.from(`${file}\n`);
    for (const encoding of ['base64', 'hex'] as const) {
      const printed = bytes.toString(encoding);
      const shown = redact(printed.match(/.{1,76}/g)!.join('\n')).replaceAll('\n', '');
      for (let at = 60; at + 24 < printed.length - 60; at += 24)
        assert.ok(!shown.includes(printed.slice(at, at + 24)), shown);
    }
  });

  test('row 150: a key given on one line, quoted, escaped, cut off or as base64 is hidden by the lines of its file', () => {
    const body = Buffer.concat([Buffer.from('openssh-key-v1\0'), randomBytes(300)]).toString('base64');
    const pem = (end: string, width = 70): string =>
      `-----BEGIN OPENSSH PRIVATE KEY-----${end}${body.match(new RegExp(`.{1,${width}}`, 'g'))!.join(end)}${end}-----END OPENSSH PRIVATE KEY-----`;
    const file = `${pem('\n')}\n`;
    const inBase64 = Buffer.from(file).toString('base64');
    const pasted: Record<string, string> = {
      'one line': pem(' '),
      'without blanks': pem(''),
      escaped: pem('\\n'),
      quoted: JSON.stringify(file),
      'in a JSON file': JSON.stringify({ type: 'service_account', private_key: file }),
      'in an environment file': `A=b\nKEY="${pem('\\n')}"\n`,
      'base64 of the file': inBase64,
      'wrapped base64 of the file': inBase64.match(/.{1,76}/g)!.join('\n'),
      'its base64 alone': body,
      'cut off': pem('\\n').slice(0, -12),
    };
    for (const [name, given] of Object.entries(pasted)) {
      const { redact } = redactor([given]);
      for (const [where, text] of Object.entries({
        'the file': file,
        'lines of 64': pem('\n', 64),
        'one line of it': body.slice(70, 140),
        JSON: JSON.stringify({ key: file }),
        'as given': given,
      })) {
        const shown = redact(`a ${text} b`);
        for (let at = 0; at + 24 < body.length; at += 24)
          assert.ok(!shown.includes(body.slice(at, at + 24)), `${name}, ${where}: ${shown}`);
      }
    }
  });

  test('row 129: replaces the raw, URL-encoded, JSON and hex forms', () => {
    const { redact } = redactor([PASSWORD]);
    for (const form of [
      PASSWORD,
      encodeURIComponent(PASSWORD),
      Buffer.from(PASSWORD).toString('hex'),
      JSON.stringify(PASSWORD),
    ])
      assert.doesNotMatch(redact(`x ${form} y`), /w0rd|7730726/, form);
  });

  test('row 129: finds base64 whatever stands before and after it, also wrapped', () => {
    const { redact } = redactor([PASSWORD]);
    for (const before of ['', 'a', 'ab', 'abc', 'abcd'])
      for (const after of ['', 'z', 'zz']) {
        const encoded = Buffer.from(before + PASSWORD + after).toString('base64');
        assert.ok(redact(encoded).includes('***'), `${before}|${after}`);
        assert.ok(
          redact(encoded.match(/.{1,9}/g)!.join('\n')).includes('***'),
          `${before}|${after}, wrapped`,
        );
      }
  });

  test('row 128: short and common words stay', () => {
    assert.equal(redactor(['abc', 'test', 'postgres']).redact('abc test postgres'), 'abc test postgres');
  });

  test('each line of a secret of several is hidden, and not the first line of a key', () => {
    const key = '-----BEGIN PRIVATE KEY-----\nMIIEvAIBADANBg\nkqhkiG9w0BAQEF\n-----END PRIVATE KEY-----';
    assert.equal(
      redactor([key]).redact('-----BEGIN PRIVATE KEY----- kqhkiG9w0BAQEF'),
      '-----BEGIN PRIVATE KEY----- ***',
    );
  });

  test('the end of the line is left to a secret that has one', () => {
    assert.equal(redactor(['TOKEN=5uX8\n']).redact('TOKEN=5uX8\nhost: up\n'), '***\nhost: up\n');
    assert.equal(
      redactor(['A=first\nB=second\n']).redact('A=first\nB=second\nhost: up\n'),
      '***\nhost: up\n',
    );
  });

  test('what is shown twice is the same', () => {
    fc.assert(
      fc.property(
        fc.array(fc.constantFrom(first, last, '\n', '\r', ' ', '##[', '::', '\x1b[1m', '\x1b', '*'), {
          maxLength: 9,
        }),
        (parts) => {
          const once = redact(parts.join(''));
          assert.equal(redact(once), once);
        },
      ),
      { numRuns: 1_000 },
    );
  });
});

describe('a stream', () => {
  test('row 150: chunks of any size, cut by colours and line breaks, let no secret through and lose nothing else', () => {
    const between = fc.constantFrom(
      '',
      '\x1b[31m',
      '\n',
      '\x1b]8;;y\x07',
      '\r\n  ',
      '\0',
      '\ny\r',
      '\ny\r \n',
    );
    const secret = fc
      .tuple(fc.integer({ min: 0, max: SECRET.length }), between)
      .map(([at, cut]) => SECRET.slice(0, at) + cut + SECRET.slice(at));
    const text = fc
      .array(fc.oneof(secret, fc.constantFrom('\n', ' ', 'x', SECRET.slice(0, 3), 'line\n')), {
        maxLength: 8,
      })
      .map((parts) => parts.join(''));
    fc.assert(
      fc.property(text, fc.array(fc.integer({ min: 1, max: 9 }), { minLength: 1 }), (whole, sizes) => {
        let shown = '';
        const lines = wholeLines(redactor([SECRET]), (part) => {
          shown += part;
        });
        for (let at = 0, n = 0; at < whole.length; n++) {
          const size = sizes[n % sizes.length]!;
          lines.take(whole.slice(at, at + size));
          if (n % 5 === 4) lines.flush();
          at += size;
        }
        lines.finish();
        const joined = shown.replace(/\s+/g, '');
        assert.ok(!joined.includes(SECRET), JSON.stringify(shown));
        const count = (of: string, part: string): number => of.split(part).length - 1;
        assert.equal(count(joined, 'x'), count(whole, 'x'));
      }),
      { numRuns: 2_000 },
    );
  });

  test('a line in which no secret may have begun is passed on at once', () => {
    const told: string[] = [];
    const lines = wholeLines(redactor([SECRET]), (text) => told.push(text));
    lines.take('one\ntwo ');
    assert.deepEqual(told, ['one\n']);
    lines.take(`${SECRET.slice(0, 4)}\n`);
    assert.deepEqual(told, ['one\n'], 'the next line may end a secret');
    lines.take('three\n');
    assert.deepEqual(told, ['one\n', `two ${SECRET.slice(0, 4)}\nthree\n`]);
  });

  test('row 145: lines, blanks and escapes without an end are not kept in memory', () => {
    for (const flood of ['x', ' ', '\x1b]0;', '\x1b[1', `\r`, SECRET.slice(0, 4)]) {
      let shown = 0;
      const lines = wholeLines(redactor([SECRET]), (text) => {
        shown += text.length;
      });
      lines.take(SECRET.slice(0, 6));
      const chunk = flood.repeat(Math.ceil(60_000 / flood.length));
      for (let n = 0; n < 40; n++) lines.take(chunk);
      assert.ok(shown > 0 || flood === '\r' || flood === ' ', JSON.stringify(flood));
      lines.finish();
    }
  });
});
