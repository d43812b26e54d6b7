import { textEnd, textStart } from '../../lib/cut-text.js';
import type { Problem } from '../../lib/report.js';
import { NO_NODE, OLDEST_NODE } from '../worker-command.js';
import type { ExecResult } from './exec.js';

/** Why the program on a server did not do its work, from the way it ended; each way has another remedy. Names no host. */
export function exitProblem(server: string, { code, signal, stdout, stderr }: ExecResult): Problem {
  const killed = signal === 'KILL' || code === 137;
  const said = lastOutputLines(stderr) || lastOutputLines(stdout);
  const quoted = said ? `: ${said}` : '';
  if (code === NO_NODE) {
    return {
      message: `${server} has no Node ${OLDEST_NODE} or newer that could be found`,
      code: String(code),
      next: 'Install Node for the deploy user (nvm, fnm, volta, asdf, n, or the system package), or link it: ln -s "$(command -v node)" ~/.local/bin/node',
    };
  }
  if (killed) {
    return {
      message: `the program on ${server} was killed (SIGKILL)${quoted}`,
      code: 'SIGKILL',
      next: 'Mostly the server ran out of memory: look with journalctl -k | grep -i oom, and add memory or swap, or use build-on: runner.',
    };
  }
  if (signal !== null) {
    return { message: `the program on ${server} was ended by SIG${signal}${quoted}`, code: `SIG${signal}` };
  }
  if (code === 127 || code === 126) {
    const what = code === 127 ? 'was not found' : 'may not be run';
    return {
      message: `a program on ${server} ${what}${quoted}`,
      code: String(code),
      next: 'Without a terminal PATH is short: check with  ssh <server> env  and install the program for the deploy user.',
    };
  }
  return { message: `the program on ${server} ended with exit code ${code}${quoted}`, code: String(code) };
}

/** True for ends that say by themselves what they come from, whatever was or was not printed. */
export function isKnownEnd({ code, signal }: Pick<ExecResult, 'code' | 'signal'>): boolean {
  return signal !== null || code === NO_NODE || code === 137 || code === 127 || code === 126;
}

/**
 * Why a login ended without our command having been run at all: a shell for people who may not log in (nologin,
 * git-shell), a forced command, or a shell that does not read the text (tcsh). What it said instead is the reason.
 */
export function notRunProblem(server: string, { code, stdout, stderr }: ExecResult): Problem {
  // Some shells repeat the whole command behind their complaint.
  const [complaint] = stderr.split('\n').filter((line) => line.trim() !== '');
  const said = complaint === undefined ? lastOutputLines(stdout) : textStart(complaint.trim(), 200);
  return {
    message: `the login on ${server} did not run our command, and ended with exit code ${code}${said ? `: ${said}` : ''}`,
    code: String(code),
    next: 'The account must be able to run sh: check its login shell (getent passwd), an exec in its .bashrc, and command= in authorized_keys or ForceCommand in sshd_config.',
  };
}

function lastOutputLines(text: string): string {
  const lines = text.split('\n').map((line) => line.trim());
  const last = lines.filter((line) => line !== '').slice(-3);
  return textEnd(last.join(' / '), 500);
}
