import { isLoopback } from '../lib/loopback.js';
import { startTags } from './html.js';
import { isHtml } from './judge-answer.js';
import type { HttpAnswer } from './request.js';

/** Scripts and styles of one page that are asked for at most. */
export const MOST_ASSETS = 200;

/**
 * The scripts and styles that a page links to on its own origin, once each, in order: `<script src>`, style sheets,
 * module preloads and preloaded scripts and styles. Those of other origins (a CDN) are not ours to judge.
 * `knownAs` is the public origin of an application that is asked on loopback.
 */
export function assetUrls(html: string, page: URL, knownAs?: string): URL[] {
  const found = new Map<string, URL>();
  let base = page;
  let baseSeen = false;
  for (const { name, attributes } of startTags(html)) {
    if (name === 'base' && !baseSeen && attributes.has('href')) {
      base = resolve(attributes.get('href')!, page) ?? page;
      baseSeen = true;
    }
    const link = name === 'script' ? scriptSource(attributes) : name === 'link' ? linkTarget(attributes) : '';
    const url = link.trim() === '' ? undefined : resolve(link.trim(), base);
    if (url === undefined || !isSameOrigin(url, page, knownAs)) continue;
    url.hash = '';
    found.set(url.href, url);
  }
  return [...found.values()];
}

function scriptSource(attributes: ReadonlyMap<string, string>): string {
  return attributes.get('src') ?? '';
}

function linkTarget(attributes: ReadonlyMap<string, string>): string {
  const rel = (attributes.get('rel') ?? '').toLowerCase().split(/\s+/);
  const as = (attributes.get('as') ?? '').toLowerCase();
  const wanted =
    rel.includes('stylesheet') ||
    rel.includes('modulepreload') ||
    (rel.includes('preload') && (as === 'script' || as === 'style'));
  return wanted ? (attributes.get('href') ?? '') : '';
}

function resolve(link: string, base: URL): URL | undefined {
  try {
    return new URL(link, base);
  } catch {
    return undefined;
  }
}

function isSameOrigin(url: URL, page: URL, knownAs: string | undefined): boolean {
  if (url.origin === page.origin) return true;
  // On loopback an application may name itself by another name; it is asked at the address of the page.
  const ownName = isLoopback(page.hostname) && isLoopback(url.hostname) && url.port === page.port;
  if (!ownName && url.origin !== knownAs) return false;
  url.protocol = page.protocol;
  url.host = page.host;
  return true;
}

/** Why an asset is bad, or undefined: anything but 200 is, and so is a page in the place of a script. */
export function judgeAsset(answer: Pick<HttpAnswer, 'status' | 'headers' | 'body'>): string | undefined {
  if (answer.status !== 200) return `answers ${answer.status}`;
  if (isHtml(answer.headers['content-type'], '')) return 'answers with an HTML page';
  return undefined;
}
