import { randomBytes } from 'node:crypto';

/**
 * `20260102030405-89abcdef-0123456789ab`: sorts by time, and says the commit. What lies between is made up: the live
 * version and its next one may be of one commit and be named in one second, and must never share a folder.
 */
export function newReleaseName(sha: string, now = new Date()): string {
  const time = now.toISOString().replace(/[-:T]/g, '').slice(0, 14);
  return `${time}-${randomBytes(4).toString('hex')}-${sha.slice(0, 12)}`;
}

/** The name of a commit that people brought live by hand: the same in each look, and never one of a new release. */
export function handMadeName(sha: string): string {
  return `00000000000000-${sha.slice(0, 12)}`;
}

/** True for both of them. */
export function isReleaseName(name: string): boolean {
  return /^\d{14}(-[0-9a-f]{8})?-[0-9a-f]{12}$/.test(name);
}
