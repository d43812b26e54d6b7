import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { assetUrls } from '../../src/http/assets.js';
import { startTags } from '../../src/http/html.js';

const PAGE = new URL('https://shop.example/en/');

function paths(html: string, page = PAGE): string[] {
  return assetUrls(html, page).map((url) => url.pathname + url.search);
}

describe('startTags', () => {
  const names = (html: string): string[] => [...startTags(html)].map((tag) => tag.name);

  test('steps over comments, declarations, end tags and the text of scripts', () => {
    assert.deepEqual(
      names(
        '<!doctype html><!-- <a> --><P>1 < 2</p><script>"<b>" </scripty></script ><style><i></style><?x?><br/>',
      ),
      ['p', 'script', 'style', 'br'],
    );
  });

  test('reads attributes in every way they can be written', () => {
    const [tag] = startTags(
      `<link\n REL = "a>b" href='/x?a=1&amp;b=&#50;&#x33;' data-x=y/ async rel=second =odd>`,
    );
    assert.deepEqual(Object.fromEntries(tag!.attributes), {
      rel: 'a>b',
      href: '/x?a=1&b=23',
      'data-x': 'y/',
      async: '',
      '=odd': '',
    });
  });

  test('never throws on a page that is cut off', () => {
    for (const html of [
      '<',
      '<a',
      '<a b',
      '<a b=',
      '<a b="',
      '<!--',
      '<script',
      '<script>',
      '</',
      '<title>x</t',
    ])
      assert.doesNotThrow(() => [...startTags(html)], html);
  });

  test('takes any text, in linear time', () => {
    const seed = Number(process.env.SEED ?? Date.now() % 1_000_000);
    console.log(`seed ${seed}`);
    const piece = fc.constantFrom(
      '<',
      '>',
      '</',
      '<!--',
      '-->',
      '"',
      "'",
      '=',
      ' ',
      'a',
      'script',
      '/',
      '&amp;',
      '&#0;',
    );
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 60 }), (pieces) => {
        for (const tag of startTags(pieces.join(''))) assert.match(tag.name, /^[a-z][^ >]*$/);
      }),
      { seed, numRuns: 2_000 },
    );
    for (const html of ['<a '.repeat(300_000), '<script>'.repeat(120_000), `<a ${'x='.repeat(400_000)}`]) {
      const started = performance.now();
      for (const _ of startTags(html));
      assert.ok(performance.now() - started < 2_000, html.slice(0, 10));
    }
  });
});

describe('assetUrls', () => {
  const cases: [string, string, string[]][] = [
    [
      'scripts and styles',
      '<script src="/a.js"></script><link rel="stylesheet" href="b.css">',
      ['/a.js', '/en/b.css'],
    ],
    [
      'preloads of scripts and styles, not of fonts and pictures',
      '<link rel=preload as=script href=/a.js><link rel=preload as=font href=/f.woff2><link rel=modulepreload href=/m.js><link rel=icon href=/i.png>',
      ['/a.js', '/m.js'],
    ],
    ['each once', '<script src=/a.js></script><link rel=preload as=script href=/a.js#x>', ['/a.js']],
    [
      'only of its own origin',
      '<script src="//cdn.example/a.js"></script><script src="https://shop.example/b.js"></script>',
      ['/b.js'],
    ],
    [
      'none that are written in the page',
      '<script>let x = 1</script><script src="data:text/javascript,1"></script><script src=""></script>',
      [],
    ],
    [
      'not those in comments, scripts or text',
      '<!-- <script src=/a.js> --><script>"<link rel=stylesheet href=/b.css>"</script><textarea><script src=/c.js></textarea>',
      [],
    ],
    [
      'from the base that the page names',
      '<base href="/static/"><script src="a.js"></script>',
      ['/static/a.js'],
    ],
    ['with their query, decoded', '<script src="/a.js?v=1&amp;w=2"></script>', ['/a.js?v=1&w=2']],
    ['no address that cannot be read', '<script src="https://[::"></script>', []],
  ];
  for (const [title, html, expected] of cases) test(title, () => assert.deepEqual(paths(html), expected));

  test('of an application that calls itself localhost, at the address it was asked at', () => {
    const page = new URL('http://127.0.0.1:3000/');
    const [url] = assetUrls('<script src="https://localhost:3000/a.js"></script>', page);
    assert.equal(url?.href, 'http://127.0.0.1:3000/a.js');
  });

  test('of a real Next.js page', () => {
    const html =
      '<!DOCTYPE html><!--VzG2--><html lang="en"><head><meta charSet="utf-8"/><link rel="stylesheet" href="/_next/static/css/d1.css" data-precedence="next"/>' +
      '<link rel="preload" as="script" fetchPriority="low" href="/_next/static/chunks/webpack-2a.js"/><script src="/_next/static/chunks/4bd1.js" async=""></script>' +
      '<script src="/_next/static/chunks/polyfills-42.js" noModule=""></script></head><body><p>hi</p><script src="/_next/static/chunks/webpack-2a.js" id="_R_" async=""></script>' +
      '<script>(self.__next_f=self.__next_f||[]).push([0])</script></body></html>';
    assert.deepEqual(paths(html), [
      '/_next/static/css/d1.css',
      '/_next/static/chunks/webpack-2a.js',
      '/_next/static/chunks/4bd1.js',
      '/_next/static/chunks/polyfills-42.js',
    ]);
  });
});
