import { type ChildProcess, spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { type AddressInfo, connect, createServer, type Server as NetServer, type Socket } from 'node:net';
import { tmpdir, userInfo } from 'node:os';
import { join } from 'node:path';
import { setTimeout as later } from 'node:timers/promises';
import ssh2, {
  type AuthContext,
  type Connection,
  type PublicKeyAuthContext,
  type ServerChannel,
  type Session,
} from 'ssh2';
import { freePort } from './free-port.js';
import { reset } from './reset.js';

/**
 * An SSH server on 127.0.0.1 that really runs what it is sent: OpenSSH's sshd where it is installed, otherwise
 * the one of the ssh2 package. Both give the commands the environment of a sandbox folder.
 */

export type HostKeyType = 'ed25519' | 'ecdsa' | 'rsa';

export interface SshdOptions {
  /** HOME of every command; default: a new empty folder that `stop` removes. */
  home?: string;
  /** Laid over HOME, PATH and the few variables that a non-interactive session has. */
  environment?: Record<string, string>;
  /** Runs the commands; default: /bin/bash where present, else /bin/sh. */
  shellPath?: string;
  /** The key that may log in; default: a new one. */
  clientKey?: KeyPair;
  /** Forces one of the two servers. */
  kind?: 'openssh' | 'embedded';
  /** Default: one ed25519 key. */
  hostKeys?: HostKeyType[];
  /** Sessions that one connection may open (OpenSSH's MaxSessions). */
  maxSessions?: number;
  /** False: nobody goes on from it to another server. */
  forwards?: boolean;
  /** Lines for sshd_config; OpenSSH only. */
  config?: string[];
}

export interface Sshd {
  host: string;
  port: number;
  user: string;
  /** OpenSSH form, not encrypted. */
  privateKey: string;
  /** `SHA256:...` of the first host key. */
  fingerprint: string;
  /** Of every host key. */
  fingerprints: Partial<Record<HostKeyType, string>>;
  /** A known_hosts file with every host key, by `[host]:port`. */
  knownHosts: string;
  kind: 'openssh' | 'embedded';
  home: string;
  stop(): Promise<void>;
  /** Kills every open session on the server's side; the server goes on listening. */
  dropConnections(): Promise<void>;
}

export interface KeyPair {
  private: string;
  /** `ssh-ed25519 AAAA...` */
  public: string;
}

const SSHD = '/usr/sbin/sshd';

/** A key pair in OpenSSH form. About one in 256 of ssh2's ed25519 pairs is broken (a leading zero is lost), so it is checked. */
export function makeKeyPair(type: HostKeyType = 'ed25519'): KeyPair {
  for (;;) {
    const pair =
      type === 'ed25519'
        ? ssh2.utils.generateKeyPairSync('ed25519')
        : ssh2.utils.generateKeyPairSync(type, { bits: type === 'rsa' ? 2048 : 256 });
    const secret = ssh2.utils.parseKey(pair.private);
    const open = ssh2.utils.parseKey(pair.public);
    if (secret instanceof Error || open instanceof Error) continue;
    const signature = secret.sign('check');
    if (Buffer.isBuffer(signature) && open.verify('check', signature) === true) return pair;
  }
}

export function fingerprintOf(publicKey: string): string {
  const blob = Buffer.from(publicKey.split(' ')[1]!, 'base64');
  return `SHA256:${createHash('sha256').update(blob).digest('base64').replace(/=+$/, '')}`;
}

export async function startSshd(options: SshdOptions = {}): Promise<Sshd> {
  const folder = mkdtempSync(join(tmpdir(), 'muva-sshd-'));
  const home = options.home ?? join(folder, 'home');
  mkdirSync(home, { recursive: true });
  const kind = options.kind ?? (existsSync(SSHD) ? 'openssh' : 'embedded');
  const client = options.clientKey ?? makeKeyPair();
  const types = options.hostKeys ?? ['ed25519'];
  const keys = types.map((type) => ({ type, pair: makeKeyPair(type) }));
  const shell = options.shellPath ?? (existsSync('/bin/bash') ? '/bin/bash' : '/bin/sh');
  const user = userInfo().username;
  const environment = {
    HOME: home,
    PATH: '/usr/local/bin:/usr/bin:/bin',
    USER: user,
    LOGNAME: user,
    SHELL: shell,
    ...options.environment,
  };
  const start = kind === 'openssh' ? startOpenSsh : startEmbedded;
  const running = await start({ folder, shell, environment, client, keys, options });
  return {
    host: '127.0.0.1',
    port: running.port,
    user,
    privateKey: client.private,
    fingerprint: fingerprintOf(keys[0]!.pair.public),
    fingerprints: Object.fromEntries(keys.map(({ type, pair }) => [type, fingerprintOf(pair.public)])),
    knownHosts: keys.map(({ pair }) => `[127.0.0.1]:${running.port} ${pair.public}\n`).join(''),
    kind,
    home,
    dropConnections: running.dropConnections,
    async stop() {
      await running.stop();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

interface Parts {
  folder: string;
  shell: string;
  environment: Record<string, string>;
  client: KeyPair;
  keys: { type: HostKeyType; pair: KeyPair }[];
  options: SshdOptions;
}

interface Running {
  port: number;
  stop(): Promise<void>;
  dropConnections(): Promise<void>;
}

async function startOpenSsh(parts: Parts): Promise<Running> {
  const { folder } = parts;
  // sshd as root refuses to start without its privilege separation folder.
  if (process.getuid?.() === 0) mkdirSync('/run/sshd', { recursive: true, mode: 0o755 });
  writeFileSync(join(folder, 'authorized_keys'), `${parts.client.public}\n`, { mode: 0o600 });
  for (const { type, pair } of parts.keys)
    writeFileSync(join(folder, `host_${type}`), pair.private, { mode: 0o600 });
  for (let attempt = 1; ; attempt++) {
    const port = await freePort();
    writeFileSync(join(folder, 'sshd_config'), sshdConfig(parts, port));
    const child = spawn(
      SSHD,
      ['-D', '-f', join(folder, 'sshd_config'), '-E', join(folder, `sshd-${attempt}.log`)],
      { stdio: 'ignore' },
    );
    const ready = await listening(child, join(folder, `sshd-${attempt}.log`));
    if (ready) return openSshRunning(child, port);
    if (attempt === 3)
      throw new Error(`sshd did not start: ${readFileSync(join(folder, `sshd-${attempt}.log`), 'utf8')}`);
  }
}

function sshdConfig(parts: Parts, port: number): string {
  const { folder, options } = parts;
  // sshd takes the shell and the first folder from /etc/passwd; only a forced command leads into the sandbox.
  const run = 'cd "$HOME" && exec "$SHELL" -c "$SSH_ORIGINAL_COMMAND"';
  return [
    `Port ${port}`,
    'ListenAddress 127.0.0.1',
    ...parts.keys.map(({ type }) => `HostKey ${join(folder, `host_${type}`)}`),
    `AuthorizedKeysFile ${join(folder, 'authorized_keys')}`,
    `PidFile ${join(folder, 'sshd.pid')}`,
    'PasswordAuthentication no',
    'KbdInteractiveAuthentication no',
    'PermitRootLogin prohibit-password',
    'StrictModes no',
    'UsePAM no',
    'PrintMotd no',
    'LogLevel VERBOSE',
    ...(options.maxSessions === undefined ? [] : [`MaxSessions ${options.maxSessions}`]),
    // One line: only the first SetEnv counts.
    `SetEnv ${Object.entries(parts.environment)
      .map(([name, value]) => `"${name}=${value}"`)
      .join(' ')}`,
    `ForceCommand ${run}`,
    ...(options.forwards === false ? ['AllowTcpForwarding no'] : []),
    ...(options.config ?? []),
    '',
  ].join('\n');
}

async function listening(child: ChildProcess, log: string): Promise<boolean> {
  for (const until = Date.now() + 10_000; Date.now() < until; await later(10)) {
    if (existsSync(log) && readFileSync(log, 'utf8').includes('Server listening on')) return true;
    if (child.exitCode !== null || child.signalCode !== null) return false;
  }
  child.kill('SIGKILL');
  return false;
}

function openSshRunning(child: ChildProcess, port: number): Running {
  const dropConnections = async (): Promise<void> => {
    // The listener's children are one sshd per connection; a session's own sshd is their child.
    const sessions = descendants(child.pid!).filter((pid) => isSshd(pid));
    for (const pid of sessions) kill(pid, 'SIGKILL');
    for (const until = Date.now() + 5_000; Date.now() < until; await later(5))
      if (sessions.every((pid) => !isSshd(pid))) return;
  };
  return {
    port,
    dropConnections,
    async stop() {
      await dropConnections();
      const gone = new Promise((resolve) => child.once('exit', resolve));
      if (child.exitCode === null && child.signalCode === null) {
        child.kill('SIGTERM');
        await gone;
      }
    },
  };
}

function descendants(pid: number): number[] {
  const parentOf = new Map<number, number>();
  for (const name of readdirSync('/proc')) {
    if (!/^\d+$/.test(name)) continue;
    try {
      const stat = readFileSync(`/proc/${name}/stat`, 'utf8');
      parentOf.set(Number(name), Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[1]));
    } catch {
      // It ended while the list was read.
    }
  }
  const below = (root: number): number[] =>
    [...parentOf].filter(([, parent]) => parent === root).flatMap(([own]) => [own, ...below(own)]);
  return below(pid);
}

function isSshd(pid: number): boolean {
  try {
    const status = readFileSync(`/proc/${pid}/status`, 'utf8');
    return /^Name:\tsshd/m.test(status) && !/^State:\tZ/m.test(status);
  } catch {
    return false;
  }
}

function kill(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal);
  } catch {
    // It ended by itself.
  }
}

/** The ssh2 package's server: every exec is a real shell in a process group of its own. */
async function startEmbedded(parts: Parts): Promise<Running> {
  const allowed = ssh2.utils.parseKey(parts.client.public);
  if (allowed instanceof Error) throw allowed;
  const commands = new Set<ChildProcess>();
  const server = new ssh2.Server({ hostKeys: parts.keys.map(({ pair }) => pair.private) }, (client) => {
    client.on('error', () => {});
    client.on('authentication', (context) => authenticate(context, allowed));
    client.on('ready', () => serve(client, parts, commands));
  });
  const sockets = new Set<Socket>();
  const door: NetServer = createServer((socket) => {
    socket.setNoDelay(true);
    sockets.add(socket);
    socket.on('error', () => {});
    socket.on('close', () => sockets.delete(socket));
    server.injectSocket(socket);
  });
  await new Promise<void>((resolve) => door.listen(0, '127.0.0.1', resolve));
  const dropConnections = async (): Promise<void> => {
    const open = [...sockets];
    const closed = open.map((socket) => new Promise((resolve) => socket.once('close', resolve)));
    for (const socket of open) reset(socket);
    await Promise.all(closed);
  };
  return {
    port: (door.address() as AddressInfo).port,
    dropConnections,
    async stop() {
      const closed = new Promise((resolve) => door.close(resolve));
      await dropConnections();
      for (const command of commands) kill(-command.pid!, 'SIGKILL');
      await closed;
    },
  };
}

function authenticate(context: AuthContext, allowed: ssh2.ParsedKey): void {
  if (context.method === 'publickey' && isAllowed(context, allowed)) context.accept();
  else context.reject(['publickey']);
}

/** A client first asks whether the key would do (no signature yet), then proves that it has it. */
function isAllowed(
  { key, signature, blob, hashAlgo }: PublicKeyAuthContext,
  allowed: ssh2.ParsedKey,
): boolean {
  if (key.algo !== allowed.type || !key.data.equals(allowed.getPublicSSH())) return false;
  return !signature || (blob !== undefined && allowed.verify(blob, signature, hashAlgo) === true);
}

function serve(client: Connection, parts: Parts, commands: Set<ChildProcess>): void {
  let open = 0;
  client.on('session', (accept, reject) => {
    if (open >= (parts.options.maxSessions ?? 10)) return void reject();
    open++;
    const session = accept();
    session.on('close', () => open--);
    session.on('env', (acceptEnv) => acceptEnv?.());
    onExec(session, parts, commands);
  });
  // Without a listener it answers that this is forbidden.
  if (parts.options.forwards === false) return;
  client.on('tcpip', (accept, reject, info) => {
    const target = connect(info.destPort, info.destIP);
    target.once('error', () => reject?.());
    target.once('connect', () => {
      const channel = accept();
      target.on('error', () => channel.destroy());
      channel.on('error', () => target.destroy());
      channel.on('close', () => target.destroy());
      target.pipe(channel).pipe(target);
    });
  });
}

function onExec(session: Session, parts: Parts, commands: Set<ChildProcess>): void {
  session.on('exec', (accept, _reject, { command }) => {
    const channel: ServerChannel = accept();
    const child = spawn(parts.shell, ['-c', command], {
      cwd: parts.environment.HOME,
      env: parts.environment,
      detached: true,
    });
    commands.add(child);
    session.on('signal', (acceptSignal, _rejectSignal, { name }) => {
      acceptSignal?.();
      kill(-child.pid!, `SIG${name}` as NodeJS.Signals);
    });
    for (const stream of [child.stdin, child.stdout, child.stderr, channel]) stream.on('error', () => {});
    channel.pipe(child.stdin);
    child.stdout.pipe(channel, { end: false });
    child.stderr.pipe(channel.stderr, { end: false });
    // As with sshd, a lost connection closes the pipes and does not kill the command.
    channel.on('close', () => {
      child.stdin.destroy();
      child.stdout.destroy();
      child.stderr.destroy();
    });
    child.on('close', (code, signal) => {
      commands.delete(child);
      if (channel.destroyed) return;
      if (signal) channel.exit(signal.replace(/^SIG/, ''), false, '');
      else channel.exit(code ?? 255);
      channel.end();
    });
  });
}
