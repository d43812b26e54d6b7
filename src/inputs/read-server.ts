import { definedOnly } from '../lib/defined-only.js';
import { EMPTY_CONNECTION } from '../lib/empty-connection.js';
import { checkEnvText } from '../lib/env-text.js';
import { tidyPath } from '../lib/paths.js';
import { Secret } from '../lib/secret.js';
import {
  checkGitRef,
  checkProcessName,
  checkUserName,
  type HostAddress,
  type NameProblem,
  parseHostAddress,
} from './checks/names.js';
import { checkAppPath, checkRemotePath } from './checks/paths.js';
import { addEntryProblems, addInputProblem, checked } from './input-problems.js';
import type { InputReader } from './input-reader.js';
import { quoteIfSafe } from './quote-if-safe.js';
import { type PinTarget, readPins } from './read-host-keys.js';
import type { InputContext, Mode, SshSettings, VpsSettings } from './settings.js';

export function readVps(reader: InputReader, mode: Mode, context: InputContext): VpsSettings | undefined {
  const ssh = readSsh(reader);
  const appPath = (reader.value('app-path') ?? '').replace(/(?<=.)\/+$/, '');
  const [program, ...others] = readPrograms(reader);
  const appName = program?.name ?? '';
  if (appPath !== '') addInputProblem(reader, 'app-path', checkRemotePath(appPath));
  if (ssh && appPath === '')
    reader.complain(
      'app-path',
      'is empty',
      'Give the absolute path of the application on the server, such as /var/www/app.',
    );
  const restartCommand = reader.value('restart-command');
  if (ssh && appName === '' && restartCommand === undefined) {
    reader.complain(
      'app-name',
      'is empty',
      'Give the name that `pm2 list` shows for the application, or a restart-command.',
    );
  }
  const ecosystem = reader.value('ecosystem');
  if (ecosystem === 'follow' && restartCommand !== undefined)
    reader.complain(
      'ecosystem',
      'is "follow", and restart-command leaves PM2 out',
      'Give one of the two: an ecosystem file is for PM2.',
    );
  const asksPm2 = reader.value('health-from') === 'none' ? 'health-from' : undefined;
  if (restartCommand !== undefined && (asksPm2 !== undefined || program?.portless || others.length > 0))
    reader.complain(
      asksPm2 ?? 'app-name',
      'needs PM2, and restart-command leaves it out',
      'Give one of the two: restart-command restarts all that the application is, and is judged by its port.',
    );
  const askedRef = checked(reader, 'ref', checkGitRef);
  const ref = askedRef ?? context.run.sha;
  const sharedPaths = readAppPaths(reader, 'shared-paths');
  const buildOutput = readAppPaths(reader, 'build-output');
  const envFilePath = reader.value('env-file-path');
  addInputProblem(reader, 'env-file-path', checkEnvFilePath(envFilePath));
  const envFile = readEnvFileInput(reader, mode);
  const repositoryUrl = reader.value('repository-url');
  if (repositoryUrl !== undefined)
    addInputProblem(reader, 'repository-url', checkRepositoryUrl(repositoryUrl));
  const rest = {
    appPath,
    appName: appName === '' ? (appPath.split('/').pop() ?? '') : appName,
    portless: program?.portless === true,
    otherPrograms: others.map(({ name }) => name),
    strategy: reader.value('strategy'),
    buildOn: reader.value('build-on'),
    rehearse: reader.value('rehearse'),
    dirtyCheckout: reader.value('dirty-checkout'),
    lockWait: reader.value('lock-wait'),
    ...definedOnly({ ref }),
    refExplicit: askedRef !== undefined,
    buildOutput,
    ecosystem,
    buildCache: reader.value('build-cache'),
    ...definedOnly({
      repositoryUrl,
      installCommand: reader.value('install-command'),
      buildCommand: reader.value('build-command'),
      startCommand: reader.value('start-command'),
      restartCommand,
      envFile,
      healthPort: reader.value('health-port'),
    }),
    envFilePath: tidyPath(envFilePath),
    sharedPaths,
    keepReleases: reader.value('keep-releases'),
    maxParallel: reader.value('max-parallel'),
    deployTimeout: reader.value('deploy-timeout'),
  } as const;
  if (ssh === undefined) return undefined;
  addTooLongProblems(reader, rest, ssh.hosts.length);
  return { ssh, ...rest };
}

/** The programs of the checkout, one per line; the word `none` behind a name says that it has no port. */
function readPrograms(reader: InputReader): { name: string; portless: boolean }[] {
  const lines = (reader.value('app-name') ?? '').split('\n').map((line) => line.trim());
  const programs = lines.filter(Boolean).map((line) => {
    const name = line.replace(/\s+none$/, '');
    return { name, portless: name !== line };
  });
  for (const { name } of programs) addInputProblem(reader, 'app-name', checkProcessName(name));
  const twice = programs.find(
    ({ name }, index) => programs.findIndex((other) => other.name === name) < index,
  );
  if (twice !== undefined) reader.complain('app-name', `names ${twice.name} twice`, 'Name each once.');
  if (programs[0]?.portless && programs.some(({ portless }) => !portless))
    reader.complain(
      'app-name',
      'begins with a program without a port',
      'Name the one that answers requests first: health is asked of it.',
    );
  return programs;
}

function readAppPaths(reader: InputReader, name: 'shared-paths' | 'build-output'): string[] {
  const paths = reader.value(name);
  addEntryProblems(reader, name, paths, checkAppPath);
  return paths.map(tidyPath);
}

function checkEnvFilePath(path: string): NameProblem {
  const complaint =
    checkAppPath(path) ??
    (path.endsWith('/')
      ? { wrong: 'is a folder', right: 'Name the file itself, such as config/.env.' }
      : undefined);
  return complaint && { ...complaint, wrong: `${quoteIfSafe(path)} ${complaint.wrong}` };
}

/** Judged here and again on the server: a secret that arrived cut must not be found out about after the migrations. */
function readEnvFileInput(reader: InputReader, mode: Mode): Secret | undefined {
  const envFile = reader.value('env-file');
  if (envFile === undefined) return undefined;
  const fault = checkEnvText(envFile.reveal());
  if (fault !== undefined && (mode === 'deploy' || mode === 'plan' || mode === 'redeploy'))
    reader.complain(
      'env-file',
      fault,
      'Check the secret that it comes from: it may be cut. Each line is NAME=value.',
    );
  return envFile;
}

/** Milliseconds: what a timer of Node can hold, less a day for all that is added around a run. */
const LONGEST_WAIT = 2 ** 31 - 1 - 24 * 3_600_000;

/** A host that was prepared waits until those before it are through, so their times add up. */
function addTooLongProblems(
  reader: InputReader,
  { lockWait, deployTimeout }: Pick<VpsSettings, 'lockWait' | 'deployTimeout'>,
  hosts: number,
): void {
  if (lockWait + deployTimeout * (hosts + 1) <= LONGEST_WAIT) return;
  const minutes = Math.floor((LONGEST_WAIT - lockWait) / (hosts + 1) / 60_000);
  reader.complain(
    'deploy-timeout',
    `is too long for ${hosts} ${hosts === 1 ? 'host' : 'hosts'} and this lock-wait`,
    `Use at most ${minutes >= 60 ? `${Math.floor(minutes / 60)}h` : `${minutes}m`}.`,
  );
}

function readSsh(reader: InputReader): SshSettings | undefined {
  const port = reader.value('ssh-port');
  const user = reader.value('ssh-user') ?? '';
  if (user !== '') addInputProblem(reader, 'ssh-user', checkUserName(user));
  const items = reader.value('ssh-host');
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
  const privateKey = reader.value('ssh-private-key');
  if (privateKey === undefined)
    reader.complain(
      'ssh-private-key',
      EMPTY_CONNECTION,
      'Set the secret with the private key of the deploy user.',
    );
  else if (/^\s*(\S+\s+)?SHA256:/.test(privateKey.reveal()))
    reader.complain(
      'ssh-private-key',
      'is a fingerprint, which belongs into ssh-fingerprint',
      'Put the private key here, from -----BEGIN to -----END.',
    );
  const jump = readJump(reader, user, port);
  const pins = readPins(reader, pinTargets(reader, hosts, jump));
  return {
    hosts,
    // The empty one is never used: it has been complained about.
    privateKey: privateKey ?? new Secret(''),
    ...definedOnly({ passphrase: reader.value('ssh-passphrase') }),
    ...pins,
    ...definedOnly({ jump }),
  };
}

/** The servers by the names that the connection calls them by; none where it is not known which they are. */
function pinTargets(
  reader: InputReader,
  hosts: SshSettings['hosts'],
  jump: SshSettings['jump'],
): PinTarget[] {
  if (reader.complained('ssh-host', 'ssh-port', 'ssh-user', 'ssh-jump')) return [];
  const several = hosts.length > 1;
  return [
    ...hosts.map((host, index) => ({ ...host, name: several ? `host ${index + 1}` : 'the server' })),
    ...(jump === undefined ? [] : [{ ...jump, name: 'the jump host' }]),
  ];
}

function readJump(reader: InputReader, user: string, port: number): SshSettings['jump'] {
  const text = reader.value('ssh-jump');
  if (text === undefined) return undefined;
  const parsed = parseHostAddress(text);
  if ('wrong' in parsed) {
    reader.complain('ssh-jump', parsed.wrong, parsed.right);
    return undefined;
  }
  if ((parsed.user ?? user) === '')
    reader.complain(
      'ssh-user',
      'is empty, and ssh-jump names no user',
      'Write user@host in ssh-jump, or give ssh-user for all servers.',
    );
  return { host: parsed.host, port: parsed.port ?? port, user: parsed.user ?? user };
}

function checkRepositoryUrl(text: string): NameProblem {
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
