import { randomInt, randomUUID } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Database } from '../../src/database/connection/connection.js';
import { type InputName, withEnvironment } from '../../src/inputs/input-sources.js';
import { parseSettings } from '../../src/inputs/read.js';
import type { Settings } from '../../src/inputs/settings.js';
import { definedOnly } from '../../src/lib/defined-only.js';
import type { LogEntry } from '../../src/lib/log.js';
import type { Step } from '../../src/lib/report.js';
import type { Work } from '../../src/pipeline/tools.js';
import type { PhaseRecord } from '../../src/report/phase.js';
import { openFleet } from '../../src/server/fleet/fleet.js';
import type { ServerWork } from '../../src/server/fleet/server-work.js';
import { makeKeyPair, type Sshd, type SshdOptions, startSshd } from './sshd.js';
import type { Vps } from './vps.js';
import { startWire, type Wire } from './wire.js';
import { serverWork, workWith } from './work.js';
import { workerBundle } from './worker-bundle.js';

/** One server as the action sees it: a sandbox with an application, behind SSH, behind a wire that can be cut. */
export interface Reachable {
  vps: Vps;
  sshd: Sshd;
  wire: Wire;
  stop(): Promise<void>;
}

/** What the action is told of a server. */
export interface Addressed {
  vps: Pick<Vps, 'appPath' | 'appName'>;
  sshd: Pick<Sshd, 'user' | 'privateKey' | 'fingerprint'>;
  wire: Pick<Wire, 'host' | 'port'>;
}

export async function makeReachable(vps: Vps, options: SshdOptions = {}): Promise<Reachable> {
  const sshd = await startSshd({ home: vps.home, environment: vps.env, ...options });
  const wire = await startWire(sshd);
  return {
    vps,
    sshd,
    wire,
    async stop() {
      await wire.stop();
      await sshd.stop();
      await vps.stop();
    },
  };
}

/**
 * Several sandboxes behind one key. Each is a folder of its own on this machine, but real servers have the
 * application at the same path: so what is sent to the second and later ones has the first one's folder replaced.
 */
export async function makeFleet(boxes: readonly Vps[]): Promise<Reachable[]> {
  const clientKey = makeKeyPair();
  const first = boxes[0]!;
  return Promise.all(
    boxes.map((vps) => {
      const shellPath = join(vps.root, 'login-shell');
      const script = `#!/bin/sh\nsed -u 's#${first.root}#${vps.root}#g' | exec /bin/sh "$@"\n`;
      writeFileSync(shellPath, script, { mode: 0o755 });
      return makeReachable(vps, { clientKey, environment: { ...vps.env, SHELL: shellPath }, shellPath });
    }),
  );
}

export type Inputs = Partial<Record<InputName, string>>;

/** Settings as a person's inputs give them; the sandboxes must have the same path and name for several hosts. */
export function settingsFor(servers: readonly Addressed[], inputs: Inputs): Settings {
  const { vps, sshd } = servers[0]!;
  const inputsGiven: Inputs = {
    mode: 'redeploy',
    'run-id': String(randomInt(1, 1e9)),
    'ssh-host': servers.map(({ wire }) => `${wire.host}:${wire.port}`).join('\n'),
    'ssh-user': sshd.user,
    'ssh-private-key': sshd.privateKey,
    'ssh-fingerprint': servers
      .map((server) => `${server.wire.host}:${server.wire.port} ${server.sshd.fingerprint}`)
      .join('\n'),
    'app-path': vps.appPath,
    'app-name': vps.appName,
    'health-deadline': '10s',
    'health-timeout': '2s',
    'lock-wait': '20s',
    'deploy-timeout': '60s',
    ...inputs,
  };
  const parsed = parseSettings(
    withEnvironment((name) => inputsGiven[name] ?? '', {}),
    {
      run: {
        id: inputsGiven['run-id']!,
        attempt: 1,
        session: randomUUID(),
        url: 'https://github.com/muva/demo/actions/runs/1',
        serverUrl: 'https://github.com',
        fork: false,
      },
      terminal: false,
      workspace: '/nonexistent',
      holdsMigrations: () => false,
    },
  );
  if (!parsed.settings) throw new Error(JSON.stringify(parsed.problems));
  return parsed.settings;
}

export interface Session {
  /** All of it, for phases that take more than the servers. */
  work: Work;
  servers: ServerWork;
  log: LogEntry[];
  /** The lines of progress so far. */
  progress(): string[];
  cancel(): void;
}

/** Sees every log entry as it comes, and may stop the run at it. */
export type OnEntry = (entry: LogEntry, cancel: () => void) => void;

export interface SessionOptions {
  onEntry?: OnEntry | undefined;
  reconnectFor?: number;
  patience?: number;
  /** Where the settings give one. */
  database?: Database;
}

/** Opens the fleet as the pipeline does, and closes it. */
export async function withTools<T>(
  settings: Settings,
  work: (session: Session) => Promise<T>,
  { onEntry, reconnectFor, patience, database }: SessionOptions = {},
): Promise<T> {
  const controller = new AbortController();
  const cancel = (): void => controller.abort();
  const log: LogEntry[] = [];
  const tell = (entry: LogEntry): void => {
    log.push(entry);
    onEntry?.(entry, cancel);
  };
  const fleet = openFleet(settings.vps!, {
    dist: await workerBundle(),
    log: tell,
    ...definedOnly({ reconnectFor, patience }),
  });
  const opened = { log: tell, signal: controller.signal, fleet, database };
  try {
    return await work({
      work: workWith(settings, opened),
      servers: serverWork(settings, opened),
      log,
      progress: () => log.flatMap((entry) => (entry.kind === 'progress' ? [entry.text] : [])),
      cancel,
    });
  } finally {
    await fleet.close();
  }
}

/** A record that only collects steps. */
export function plainRecord(): PhaseRecord & { steps: Step[] } {
  const steps: Step[] = [];
  return {
    steps,
    facts: {},
    add: (step) => void steps.push(step),
    step: async (_name, work) => work(),
    skip: () => {},
    changed: () => {},
    summarise: () => {},
  };
}
