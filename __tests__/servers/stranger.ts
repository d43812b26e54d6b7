import { spawnSync } from 'node:child_process';

/**
 * Somebody else on the machine, who has a shell and nothing more: an id that no account has. Whoever runs these tests
 * becomes it as root, or by sudo without a password, as on GitHub's runners.
 */
export const STRANGER = 'uid 54321';
const UID = 54_321;

/** Runs a command of the shell as that user. @throws where it fails. */
export function asStranger(cwd: string, command: string, input = ''): void {
  const isRoot = process.getuid!() === 0;
  const [file, args] = isRoot
    ? ['/bin/sh', ['-c', command]]
    : ['sudo', ['-n', '-u', `#${UID}`, '-g', `#${UID}`, '/bin/sh', '-c', command]];
  const ended = spawnSync(file, args, {
    cwd,
    input,
    encoding: 'utf8',
    ...(isRoot ? { uid: UID, gid: UID } : {}),
  });
  if (ended.status !== 0) throw new Error(`${command} as another user: ${ended.error ?? ended.stderr}`);
}
