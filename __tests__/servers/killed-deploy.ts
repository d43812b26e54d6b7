import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { createInterface } from 'node:readline';
import type { LogEntry } from '../../src/lib/log.js';
import type { WholeDeploy } from './whole-deploy.js';

/**
 * Runs a whole deploy in a process of its own and ends that with SIGKILL: at the log entry that is waited for, or when
 * `moment` comes. @throws where the deploy ends before.
 */
export async function killDeploy(
  given: Omit<WholeDeploy, 'onEntry'>,
  at: (entry: LogEntry) => boolean,
  moment?: Promise<void>,
): Promise<void> {
  const file = join(given.workingDirectory, 'deploy.json');
  writeFileSync(file, JSON.stringify({ ...given, servers: given.servers.map(addressOf) }), { mode: 0o600 });
  const action = spawn(process.execPath, [resolve('build/__tests__/servers/deploy-process.js'), file], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const exited = once(action, 'exit');
  const seen = (async () => {
    const problems: string[] = [];
    for await (const line of createInterface({ input: action.stdout })) {
      const entry = JSON.parse(line) as LogEntry;
      if (at(entry)) return;
      if (entry.kind === 'phase-ended') problems.push(...entry.report.problems.map(({ message }) => message));
    }
    throw new Error(`the deploy ended before it could be killed: ${problems.join('; ')}`);
  })();
  await (moment === undefined ? seen : Promise.race([moment, seen]));
  action.kill('SIGKILL');
  await exited;
  await seen.catch(() => undefined);
}

/** The part of a server that the action is told; the rest of the sandbox stays in this process. */
function addressOf({ vps, sshd, wire }: WholeDeploy['servers'][number]): WholeDeploy['servers'][number] {
  const { user, privateKey, fingerprint } = sshd;
  return {
    vps: { appPath: vps.appPath, appName: vps.appName },
    sshd: { user, privateKey, fingerprint },
    wire: { host: wire.host, port: wire.port },
  };
}
