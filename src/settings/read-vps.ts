import { Secret } from '../base/secret.js';
import { checked, complainAbout } from './complain.js';
import type { ReadInput } from './inputs.js';
import {
  type Complaint,
  checkGitRef,
  checkProcessName,
  checkRelativePath,
  checkRemotePath,
  checkUserName,
  type HostAddress,
  parseHostAddress,
} from './names.js';
import { type InputReader, splitList } from './readers.js';
import type { SshSettings, Surroundings, VpsSettings } from './settings.js';

export function readVps(reader: InputReader, read: ReadInput, around: Surroundings): VpsSettings | undefined {
  const ssh = readSsh(reader, read);
  const appPath = reader.text('app-path').replace(/(?<=.)\/+$/, '');
  const appName = reader.text('app-name');
  if (appPath !== '') complainAbout(reader, 'app-path', checkRemotePath(appPath));
  if (appName !== '') complainAbout(reader, 'app-name', checkProcessName(appName));
  if (ssh && appPath === '')
    reader.complain(
      'app-path',
      'is empty',
      'Give the absolute path of the application on the server, such as /var/www/app.',
    );
  const restartCommand = reader.optional('restart-command');
  if (ssh && appName === '' && restartCommand === undefined) {
    reader.complain(
      'app-name',
      'is empty',
      'Give the name that `pm2 list` shows for the application, or a restart-command.',
    );
  }
  const given = checked(reader, 'ref', checkGitRef);
  const ref = given ?? around.run.sha;
  const sharedPaths = reader.list('shared-paths');
  const buildOutput = reader.list('build-output');
  for (const path of sharedPaths) complainAbout(reader, 'shared-paths', checkRelativePath(path));
  for (const path of buildOutput) complainAbout(reader, 'build-output', checkRelativePath(path));
  const envFilePath = reader.text('env-file-path');
  complainAbout(reader, 'env-file-path', checkRelativePath(envFilePath));
  const envFile = read('env-file');
  if (envFile.includes('\0'))
    reader.complain('env-file', 'holds a NUL byte', 'Give the text of a .env file.');
  const repositoryUrl = reader.optional('repository-url');
  if (repositoryUrl !== undefined) complainAbout(reader, 'repository-url', checkRepositoryUrl(repositoryUrl));
  const optional = <K extends string>(key: K, value: string | undefined): { [P in K]?: string } =>
    value === undefined ? {} : ({ [key]: value } as { [P in K]: string });
  const healthPort = reader.optionalInteger('health-port', 1, 65_535);
  const rest = {
    appPath,
    appName: appName === '' ? (appPath.split('/').pop() ?? '') : appName,
    strategy: reader.choice('strategy', ['auto', 'in-place', 'releases', 'adopt']),
    buildOn: reader.choice('build-on', ['vps', 'runner']),
    rehearse: reader.boolean('rehearse'),
    dirtyCheckout: reader.choice('dirty-checkout', ['refuse', 'stash']),
    lockWait: reader.duration('lock-wait'),
    ...optional('ref', ref),
    refExplicit: given !== undefined,
    buildOutput,
    ...optional('repositoryUrl', repositoryUrl),
    ...optional('installCommand', reader.optional('install-command')),
    ...optional('buildCommand', reader.optional('build-command')),
    ...optional('startCommand', reader.optional('start-command')),
    ...optional('restartCommand', restartCommand),
    ...(envFile.trim() === '' ? {} : { envFile: new Secret(envFile) }),
    envFilePath,
    sharedPaths,
    keepReleases: reader.integer('keep-releases', 2, 1_000),
    maxParallel: reader.integer('max-parallel', 1, 100),
    deployTimeout: reader.duration('deploy-timeout'),
    ...(healthPort === undefined ? {} : { healthPort }),
  } as const;
  return ssh === undefined ? undefined : { ssh, ...rest };
}

function readSsh(reader: InputReader, read: ReadInput): SshSettings | undefined {
  const port = reader.integer('ssh-port', 1, 65_535);
  const user = reader.text('ssh-user');
  if (user !== '') complainAbout(reader, 'ssh-user', checkUserName(user));
  const items = reader.list('ssh-host');
  const hosts: (HostAddress & { port: number; user: string })[] = [];
  items.forEach((item, index) => {
    const parsed = parseHostAddress(item);
    // Host names are often secrets, so a complaint names the position and not the text.
    if ('wrong' in parsed) reader.complain('ssh-host', `entry ${index + 1} ${parsed.wrong}`, parsed.right);
    else if ((parsed.user ?? user) === '')
      reader.complain(
        'ssh-user',
        `is empty, and entry ${index + 1} of ssh-host names no user`,
        'Give the login name on the server, such as deploy.',
      );
    else hosts.push({ host: parsed.host, port: parsed.port ?? port, user: parsed.user ?? user });
  });
  if (items.length === 0) return undefined;
  const privateKey = read('ssh-private-key');
  if (privateKey.trim() === '')
    reader.complain(
      'ssh-private-key',
      'is empty: secret not set, or not available to forks',
      'Set the secret with the private key of the deploy user.',
    );
  const knownHosts = read('ssh-known-hosts').trim();
  const fingerprints = splitList(read('ssh-fingerprint'));
  for (const line of fingerprints) {
    if (!/^(\S+\s+)?SHA256:[A-Za-z0-9+/]{43}=?$/.test(line)) {
      reader.complain(
        'ssh-fingerprint',
        `${JSON.stringify(line.slice(0, 80))} is not a SHA256 fingerprint`,
        'Run on the server: ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub',
      );
    }
  }
  if (knownHosts === '' && fingerprints.length === 0) {
    reader.complain(
      'ssh-fingerprint',
      'is empty, and so is ssh-known-hosts: the server could not be told from an impostor',
      'Run on the server: ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub  and put the SHA256:... part into ssh-fingerprint.',
    );
  }
  const jump = readJump(reader, user, port);
  const passphrase = read('ssh-passphrase');
  return {
    hosts,
    privateKey: new Secret(privateKey),
    ...(passphrase === '' ? {} : { passphrase: new Secret(passphrase) }),
    ...(knownHosts === '' ? {} : { knownHosts }),
    fingerprints,
    ...(jump === undefined ? {} : { jump }),
  };
}

function readJump(reader: InputReader, user: string, port: number): SshSettings['jump'] {
  const text = reader.optional('ssh-jump');
  if (text === undefined) return undefined;
  const parsed = parseHostAddress(text);
  if ('wrong' in parsed) {
    reader.complain('ssh-jump', parsed.wrong, parsed.right);
    return undefined;
  }
  return { host: parsed.host, port: parsed.port ?? port, user: parsed.user ?? user };
}

function checkRepositoryUrl(text: string): Complaint {
  const right = 'Use https://host/owner/name.git, git@host:owner/name.git or ssh://...';
  if (/^-/.test(text)) return { wrong: 'starts with a dash and would be read as an option', right };
  if (/^ext::|^fd::/.test(text)) return { wrong: 'names a transport that runs commands', right };
  if (/^https?:\/\/[^/]*@/.test(text))
    return {
      wrong: 'holds credentials',
      right:
        'Give the URL without them: the job token is used for that one fetch, or the key that the server has.',
    };
  if (!/^(https?:\/\/|ssh:\/\/|git@|file:\/\/|\/)[^\s'"`$;&|<>\\]+$/.test(text))
    return { wrong: 'is not a repository URL', right };
  return undefined;
}
