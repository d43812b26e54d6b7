import { Failure, type Problem, problemsOf } from '../../lib/report.js';

/** What can go wrong between us and a server, told apart because each needs another answer. */
export type SshErrorKind =
  /** Nothing listens on the port. */
  | 'refused'
  /** No route, or no answer to the connection attempt. */
  | 'unreachable'
  /** The jump host lets this login in, and nowhere on. */
  | 'no-forwarding'
  /** The name is not in DNS. */
  | 'name'
  /** DNS did not answer. */
  | 'name-later'
  /** Something took the connection and did not finish the SSH handshake in time. */
  | 'silent'
  /** Something other than SSH answers on the port. */
  | 'not-ssh'
  /** The server closed the connection before the handshake was done (MaxStartups, a ban). */
  | 'busy'
  | 'auth'
  /** The key is right, and the server wants more than that. */
  | 'second-factor'
  /** The server takes no keys for this login. */
  | 'no-keys'
  | 'host-key'
  /** No key exchange, cipher or host key type in common. */
  | 'no-common'
  /** The connection broke; whether a running command took effect is not known. */
  | 'lost'
  /** The server opened no further session on this connection (MaxSessions); nothing was run. */
  | 'no-session'
  /** A command took longer than it was given. */
  | 'deadline';

export class SshError extends Error {
  readonly kind: SshErrorKind;
  readonly problem: Problem;

  constructor(kind: SshErrorKind, problem: Problem) {
    super(problem.message);
    this.name = 'SshError';
    this.kind = kind;
    this.problem = problem;
  }
}

/** Any error of talking to a server as problems for a person. */
export function sshProblems(error: unknown): Problem[] {
  return error instanceof SshError ? [error.problem] : problemsOf(error);
}

/** The same error as one that a phase reports; what is not of SSH stays as it is. */
export function asFailure(error: unknown, outcome: 'failed' | 'unknown' = 'failed'): unknown {
  return error instanceof SshError ? new Failure(error.problem, outcome) : error;
}

/** True where a new connection may do better, and nothing can have run twice. */
export function isWorthRetrying(error: unknown): boolean {
  const kinds: readonly SshErrorKind[] = [
    'refused',
    'unreachable',
    'name-later',
    'busy',
    'lost',
    'no-session',
  ];
  return error instanceof SshError && kinds.includes(error.kind);
}

/** The error of one kind in words. `server` is `host 1` or `the jump host`: names are often secrets. */
export function sshError(kind: SshErrorKind, server: string, detail?: string): SshError {
  const more = detail ? ` (${detail})` : '';
  const code = detail !== undefined && /^[A-Z_]+$/.test(detail) ? { code: detail } : {};
  return new SshError(kind, { ...TEXTS[kind](server, more), ...code });
}

const TEXTS: Readonly<Record<SshErrorKind, (server: string, more: string) => Problem>> = {
  refused: (server, more) => ({
    message: `${server} refused the connection${more}: nothing listens on that port`,
    next: 'Check ssh-port, and on the server: systemctl status ssh',
  }),
  unreachable: (server, more) => ({
    message: `${server} could not be reached${more}`,
    next: 'Check ssh-host, that the server runs, and that its firewall lets GitHub runners in.',
  }),
  'no-forwarding': (server) => ({
    message: `the jump host does not let this login go on to ${server}`,
    next: 'Allow it on the jump host: AllowTcpForwarding yes and PermitOpen in its sshd_config, no "no-port-forwarding" or "restrict" before its key in authorized_keys.',
  }),
  name: (server) => ({
    message: `the name of ${server} is not in DNS`,
    next: 'Check ssh-host for a typing error.',
  }),
  'name-later': (server) => ({
    message: `DNS gave no answer for the name of ${server}`,
    next: 'Run the job again; where it stays so, give the IP address in ssh-host.',
  }),
  silent: (server, more) => ({
    message: `${server} took the connection and then did not finish the SSH handshake${more}`,
    next: 'Check ssh-port: a tarpit or a firewall that holds connections looks like this. On a loaded server, run the job again.',
  }),
  'not-ssh': (server, more) => ({
    message: `what answers on the port of ${server} is not SSH${more}`,
    next: 'Check ssh-host and ssh-port: SSH is usually on port 22, and a web proxy in front of the server does not carry it.',
  }),
  busy: (server, more) => ({
    message: `${server} closed the connection before the SSH handshake was done${more}`,
    next: 'The server has too many connections open (MaxStartups), or has banned this address (fail2ban-client status sshd).',
  }),
  auth: (server, more) => ({
    message: `${server} did not accept the private key${more}`,
    next: 'Check ssh-user, and that the public half of ssh-private-key stands in ~/.ssh/authorized_keys of that user; the reason is in the server log: journalctl -u ssh',
  }),
  'second-factor': (server, more) => ({
    message: `${server} took the private key and asks for a second factor${more}`,
    next: 'A deploy cannot answer it: let this user in with the key alone (sshd_config: Match User <user>, AuthenticationMethods publickey).',
  }),
  'no-keys': (server, more) => ({
    message: `${server} takes no private key for this login${more}`,
    next: 'Check ssh-user and ssh-port, and PubkeyAuthentication in sshd_config; a deploy cannot type a password.',
  }),
  'host-key': (server) => ({ message: `the host key of ${server} is not the pinned one` }),
  'no-common': (server, more) => ({
    message: `${server} and this client have no method in common${more}`,
    next: 'Update the SSH server, or allow a current method there (ssh-ed25519 or rsa-sha2-512, curve25519, aes-gcm).',
  }),
  lost: (server, more) => ({
    message: `the connection to ${server} was lost${more}`,
    next: 'Run the job again: what runs on the server goes on there, and the next run looks at what it left.',
  }),
  'no-session': (server, more) => ({
    message: `${server} opened no further session${more}`,
    next: 'Raise MaxSessions in sshd_config, or run fewer jobs against the server at once.',
  }),
  deadline: (server, more) => ({ message: `a command on ${server} took longer than it was given${more}` }),
};

/** Classes what Node says when a TCP connection fails; its text holds the host's name and is not used. */
export function classifySocketError(server: string, error: unknown): SshError {
  const code = error instanceof Error && 'code' in error ? String(error.code) : undefined;
  if (code === 'ECONNREFUSED') return sshError('refused', server, code);
  if (code === 'ENOTFOUND') return sshError('name', server);
  if (code === 'EAI_AGAIN') return sshError('name-later', server);
  if (code === 'ECONNRESET' || code === 'EPIPE') return sshError('busy', server, code);
  return sshError('unreachable', server, code);
}

/** What a server said to our attempts to log in. */
export interface LoginAnswers {
  /** The methods that it offers, as it says where it does not take the key. */
  offered?: readonly string[];
  /** The methods that it still wants, after it took the key. */
  wanted?: readonly string[];
}

/** Why the login failed, from what the server answered: only one of the three reasons lies in the key. */
function loginError(server: string, { offered, wanted }: LoginAnswers): SshError {
  if (wanted !== undefined) return sshError('second-factor', server, wanted.join(', '));
  if (offered !== undefined && offered.length > 0 && !offered.includes('publickey'))
    return sshError('no-keys', server, `it offers ${offered.join(', ')}`);
  return sshError('auth', server);
}

/**
 * Classes what the client says when a handshake fails. `first` is the beginning of what the server sent: from it
 * a web server, a tarpit and a full SSH server can be told apart.
 */
export function classifyHandshakeError(
  server: string,
  error: unknown,
  first: string,
  login: LoginAnswers = {},
): SshError {
  if (error instanceof SshError) return error;
  const message = error instanceof Error ? error.message : String(error);
  const level = error instanceof Error && 'level' in error ? String(error.level) : '';
  const speaksSsh = /(^|\n)SSH-/.test(first);
  if (level === 'client-authentication') return loginError(server, login);
  if (/no matching/i.test(message))
    return sshError('no-common', server, /no matching ([a-z0-9 -]+)/i.exec(message)?.[0]);
  if (/^(Not allowed at this time|Exceeded MaxStartups)/.test(first)) return sshError('busy', server);
  if (level === 'client-timeout')
    return speaksSsh || first === ''
      ? sshError('silent', server)
      : sshError('not-ssh', server, 'it sends other text, slowly');
  if (!speaksSsh && first !== '')
    return sshError('not-ssh', server, /^HTTP\//.test(first) ? 'it speaks HTTP' : 'it sends other text');
  return sshError('busy', server);
}
