import { spawnSync } from 'node:child_process';

/**
 * Somebody else on the machine, who has a shell and nothing more: an id that no account has. Whoever runs these tests
 * becomes it as root, or by sudo without a password, as on GitHub's runners.
 */
export const STRANGER = 'uid 54321';
export const STRANGER_ID = 54_321;

/** Runs a command of the shell as that user. @throws where it fails. */
export function asStranger(cwd: string, command: string, input = ''): void {
  const ended = runAs(STRANGER_ID, STRANGER_ID, command, { cwd, input });
  if (ended.status !== 0) throw new Error(`${command} as another user: ${ended.error ?? ended.stderr}`);
}

/** Of some files, those that a user of this id and group can read. */
export function readableFor(uid: number, gid: number, files: readonly string[]): string[] {
  const look = 'while IFS= read -r file; do if [ -r "$file" ]; then printf "%s\\n" "$file"; fi; done';
  const { stdout } = runAs(uid, gid, look, { cwd: '/', input: files.map((file) => `${file}\n`).join('') });
  return stdout.split('\n').filter(Boolean);
}

function runAs(uid: number, gid: number, command: string, options: { cwd: string; input: string }) {
  const isRoot = process.getuid!() === 0;
  const [file, args] = isRoot
    ? ['/bin/sh', ['-c', command]]
    : ['sudo', ['-n', '-u', `#${uid}`, '-g', `#${gid}`, '/bin/sh', '-c', command]];
  return spawnSync(file, args, { ...options, encoding: 'utf8', ...(isRoot ? { uid, gid } : {}) });
}

/** A group in which the one who runs these tests may put files, beside their own. */
export function anotherGroup(): number {
  if (process.getuid!() === 0) return 54_300;
  const group = process.getgroups!().find((each) => each !== process.getgid!());
  if (group === undefined) throw new Error('these tests need a user who is a member of two groups');
  return group;
}
