import { accessSync, constants, statSync } from 'node:fs';
import { quote } from '../../lib/shell.js';
import { readText } from './files.js';

/** Who owns what on the host, and what is to be done where another one does. */

/** The name of a user by its id; `uid 1001` where the host knows none. */
export function userName(uid: number): string {
  return nameIn('/etc/passwd', uid) ?? `uid ${uid}`;
}

/** The same of a group: `gid 1001`. */
export function groupName(gid: number): string {
  return nameIn('/etc/group', gid) ?? `gid ${gid}`;
}

function nameIn(file: string, id: number): string | undefined {
  const line = (readText(file) ?? '').split('\n').find((each) => each.split(':')[2] === String(id));
  return line?.split(':')[0] || undefined;
}

/** The one who deploys, as a word for a command line: also right where the host knows no name. */
export function ownWord(): string {
  const name = userName(process.getuid!());
  return name.startsWith('uid ') ? name.slice('uid '.length) : name;
}

export function ownerOf(path: string): string {
  return userName(statSync(path).uid);
}

/** True for what the one who deploys owns, or root. Pure; `us`: the id of the one who deploys. */
export function isOurs(uid: number, us: number): boolean {
  return uid === us || uid === 0;
}

/** True where things in a folder may be made, moved and deleted. */
export function isWritable(folder: string): boolean {
  try {
    accessSync(folder, constants.W_OK | constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

/**
 * What to do where folders or files cannot be changed by the one who deploys. What root owns is handed over, and of it
 * only what root itself wrote; what anybody else wrote is never taken over: nobody knows what it is.
 */
export function howToOwn(...paths: string[]): string {
  const us = process.getuid!();
  const owned = (by: (uid: number) => boolean): string[] => paths.filter((path) => by(statSync(path).uid));
  const words = (some: readonly string[]): string => some.map(quote).join(' ');
  const [shut, ofRoot] = [owned((uid) => uid === us), owned((uid) => uid === 0 && us !== 0)];
  const others = owned((uid) => !isOurs(uid, us)).map(ownerOf);
  return [
    ...(others.length === 0 ? [] : [`Connect as ${[...new Set(others)].join(' or ')}.`]),
    ...(shut.length === 0 ? [] : [`Run once on the server: chmod -R u+rwX ${words(shut)}`]),
    ...(ofRoot.length === 0
      ? []
      : [`Run once on the server: sudo chown -R --from=root ${ownWord()}: ${words(ofRoot)}`]),
  ].join(' ');
}

/**
 * What a web server of another user may read of the live version it may read of the next one: a login can have a
 * stricter umask than the one with which the live version was made.
 */
export function stayReadable(live: string | undefined): void {
  if (live !== undefined && (statSync(live).mode & 0o005) === 0o005) process.umask(process.umask() & ~0o055);
}
