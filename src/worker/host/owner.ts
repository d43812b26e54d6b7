import { accessSync, constants, statSync } from 'node:fs';
import { quote } from '../../base/shell.js';
import { readText } from './files.js';

/** Who owns what on the host, and the command that hands it over. */

/** The name of a user by its id; `uid 1001` where the host knows none. */
function userName(uid: number): string {
  const line = (readText('/etc/passwd') ?? '').split('\n').find((each) => each.split(':')[2] === String(uid));
  return line?.split(':')[0] || `uid ${uid}`;
}

/** The one who deploys, as a word for a command line: also right where the host knows no name. */
export function ownWord(): string {
  const name = userName(process.getuid!());
  return name.startsWith('uid ') ? name.slice('uid '.length) : name;
}

export function ownerOf(path: string): string {
  return userName(statSync(path).uid);
}

export function isOwn(path: string): boolean {
  return statSync(path).uid === process.getuid!();
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

/** The command by which a person hands folders over to the one who deploys. */
export function handOver(...paths: string[]): string {
  return `sudo chown -R ${ownWord()}: ${paths.map(quote).join(' ')}`;
}

/**
 * What a web server of another user may read of the live version it may read of the next one: a login can have a
 * stricter umask than the one with which the live version was made.
 */
export function stayReadable(live: string | undefined): void {
  if (live !== undefined && (statSync(live).mode & 0o005) === 0o005) process.umask(process.umask() & ~0o055);
}
