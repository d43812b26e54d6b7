import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { decideRedirect, publicOrigin } from '../../src/http/redirects.js';

describe('decideRedirect', () => {
  const cases: [string, string, string | undefined, boolean, string | RegExp][] = [
    ['a page of the same origin', 'https://a.example/', '/en', true, 'https://a.example/en'],
    [
      'the same origin, in full',
      'https://a.example/',
      'https://a.example:443/en',
      true,
      'https://a.example/en',
    ],
    [
      'another scheme',
      'http://a.example/',
      'https://a.example/',
      true,
      /redirects to https:\/\/; give health-url so/,
    ],
    ['another host', 'https://a.example/', 'https://www.a.example/', true, /another origin/],
    ['another port', 'https://a.example/', 'https://a.example:8443/', true, /another origin/],
    ['no URL', 'https://a.example/', 'https://[', true, /not a URL/],
    ['no location', 'https://a.example/', undefined, true, /without saying where/],
    ['from another path', 'https://a.example/x', '/y?key=1', false, /redirects to \/y; ask/],
    ['row 109: a login page', 'https://a.example/', '/auth?k=1', true, 'https://a.example/auth?k=1'],
    ['itself but for the fragment', 'https://a.example/', '/#top', true, /in a circle/],
    [
      'loopback by another name',
      'http://127.0.0.1:3000/',
      'https://localhost:3000/en',
      true,
      'http://127.0.0.1:3000/en',
    ],
    ['loopback, another port', 'http://127.0.0.1:3000/', 'http://localhost:4000/en', true, /another origin/],
    [
      'from loopback to the public name',
      'http://localhost:3000/',
      'https://a.example/',
      true,
      /another origin/,
    ],
  ];
  for (const [title, from, location, root, expected] of cases) {
    test(title, () => {
      const decision = decideRedirect(new URL(from), location, [], root);
      if (typeof expected === 'string') assert.equal('follow' in decision && decision.follow.href, expected);
      else assert.match('refuse' in decision ? decision.refuse : 'followed', expected);
    });
  }

  test('row 109: from loopback to the public origin, which is asked at the address of the application', () => {
    const loopback = new URL('http://localhost:3000/');
    for (const location of ['https://a.example/en?x=1', 'http://a.example/en?x=1']) {
      const decision = decideRedirect(loopback, location, [], true, 'https://a.example');
      assert.ok('follow' in decision, JSON.stringify(decision));
      assert.equal(decision.follow.href, 'http://localhost:3000/en?x=1');
      assert.equal(decision.asPublic, true);
    }
    for (const location of ['https://b.example/en', 'https://a.example:8443/en'])
      assert.match(
        JSON.stringify(decideRedirect(loopback, location, [], true, 'https://a.example')),
        /another origin/,
      );
    const outside = new URL('https://b.example/');
    assert.match(
      JSON.stringify(decideRedirect(outside, 'https://a.example/en', [], true, 'https://a.example')),
      /another origin/,
    );
  });
});

describe('publicOrigin', () => {
  const cases: [string, string, string | undefined, string | undefined][] = [
    [
      'https is enforced',
      'http://127.0.0.1:3000/x?a=1',
      'https://shop.example/x?a=1',
      'https://shop.example',
    ],
    [
      'one canonical host name',
      'http://localhost:3000/',
      'http://www.shop.example/',
      'http://www.shop.example',
    ],
    [
      'https on loopback itself',
      'http://127.0.0.1:3000/',
      'https://localhost:3000/',
      'https://localhost:3000',
    ],
    ['another path', 'http://127.0.0.1:3000/', 'https://shop.example/login', undefined],
    ['not asked on loopback', 'http://shop.example/', 'https://shop.example/', undefined],
    ['the same origin', 'http://127.0.0.1:3000/', '/', undefined],
    ['no location', 'http://127.0.0.1:3000/', undefined, undefined],
    ['no web address', 'http://127.0.0.1:3000/', 'ftp://shop.example/', undefined],
  ];
  for (const [title, from, location, origin] of cases)
    test(title, () => assert.equal(publicOrigin(new URL(from), location)?.origin, origin));
});
