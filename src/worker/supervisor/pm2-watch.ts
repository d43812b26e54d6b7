import { textStart } from '../../lib/cut-text.js';
import { formatDuration } from '../../lib/duration.js';
import { Failure } from '../../lib/report.js';
import { pause } from '../../lib/retry.js';
import { ageOf, commandOf, descendsFrom, listenersOn } from '../host/processes.js';
import type { Toolbox } from '../host/toolbox.js';
import type { Instance } from './entry.js';
import { daemonPid, findEntry, LISTEN_TIMEOUT, WAITING } from './pm2-client.js';
import { renewalOf } from './pm2-renewal.js';
import type { Restarted, Watch } from './supervisor.js';

/** Milliseconds that a program must have run before its start counts as stable: PM2's min_uptime, by its default. */
const MIN_UPTIME = 1_000;
/** Milliseconds for a program that answers nobody: nothing else tells that it works. */
const SILENT_UPTIME = 5_000;
/** Milliseconds between looks while the answer is awaited. */
const BETWEEN_LOOKS = 1_500;
/** Milliseconds between looks while a program is started again. */
const BETWEEN_STARTS = 250;
/** Milliseconds that a person need not be told of. */
const WORTH_TELLING = 2_000;
/** What PM2 calls a program that runs, or will by itself. */
const COMING = new Set(['online', 'launching', WAITING]);

/**
 * Milliseconds until all programs have run for `minUptime`, from their ages; one whose age is not known is as old as
 * the sample.
 */
export function untilStable(
  ages: readonly (number | undefined)[],
  sinceSample: number,
  minUptime: number,
): number {
  return Math.max(0, ...ages.map((age) => minUptime - (age ?? sinceSample)));
}

/** What two samples of the instances say: undefined where all run and none was restarted between them. */
export function judgeInstances(
  before: readonly Instance[],
  first: readonly Instance[],
  second: readonly Instance[],
): string | undefined {
  if (second.length === 0) return 'PM2 does not know the application any more';
  const down = second.find(({ status }) => status !== 'online');
  if (down) return `instance ${down.id} is ${down.status}`;
  const old = second.find(({ pid }) => before.some((instance) => instance.pid === pid));
  if (old) return `instance ${old.id} is still the old program (pid ${old.pid})`;
  for (const instance of second) {
    const sample = first.find(({ id }) => id === instance.id);
    if (sample && instance.restarts > sample.restarts)
      return `instance ${instance.id} was restarted ${instance.restarts - sample.restarts} times meanwhile: it crashes`;
  }
  return undefined;
}

/**
 * True where all instances run or are about to, and none was restarted more than once between two samples: where the
 * port changes hands, a new program may have met that of the old one. Pure.
 */
export function isOneRestart(first: readonly Instance[], second: readonly Instance[]): boolean {
  return (
    second.length > 0 &&
    second.every(({ id, status, restarts }) => {
      const sample = first.find((instance) => instance.id === id);
      return COMING.has(status) && restarts <= (sample?.restarts ?? restarts) + 1;
    })
  );
}

/**
 * Watches the instances of a restarted application. It is proven where all of them are online, really new, up for as
 * long as PM2 asks of a stable start and not restarting, and the port is served by this application.
 */
export async function watchInstances(
  tools: Toolbox,
  appName: string,
  { port, health, before, tell }: Restarted,
): Promise<Watch> {
  let sampledAt = performance.now();
  const entry = await findEntry(tools, appName);
  let sample = entry?.instances ?? [];
  const stop = new AbortController();
  const crash = watchForCrash(tools, appName, sample, stop);
  // Without a port nothing changes hands: a restart that nobody asked for is a crash.
  const handsOver = port !== undefined && entry !== undefined && renewalOf(tools, entry, port) === 'restart';
  const restartDelay = (handsOver ? entry.restartDelay : undefined) ?? 0;
  const stable = Math.max(entry?.minUptime ?? MIN_UPTIME, port === undefined ? SILENT_UPTIME : 0);
  const minUptime = Math.min(stable, health.deadline);
  const afterMinUptime = async (): Promise<Instance[]> => {
    const left = untilStable(
      sample.map(({ pid }) => ageOf(pid)),
      performance.now() - sampledAt,
      minUptime,
    );
    if (left > WORTH_TELLING)
      tell?.(
        `${port === undefined ? 'started' : 'healthy'}; waiting for ${formatDuration(left)} more, after which PM2 calls a start stable (min_uptime)`,
      );
    await pause(left);
    return instancesOf(tools, appName);
  };
  return {
    signal: stop.signal,
    ownDelay: restartDelay,
    async end() {
      stop.abort();
      const why = await crash;
      return why === undefined ? undefined : crashed(appName, why);
    },
    async prove() {
      let now = await afterMinUptime();
      let wrong = judgeInstances(before.instances, sample, now);
      const again = wrong !== undefined && handsOver && isOneRestart(sample, now);
      if (again) {
        tell?.(`PM2 started the application once more (${wrong}); waiting whether it stays`);
        sample = await onceAllRun(tools, appName, restartDelay + LISTEN_TIMEOUT);
        sampledAt = performance.now();
        now = await afterMinUptime();
        wrong = judgeInstances(before.instances, sample, now);
      }
      if (wrong !== undefined) throw crashed(appName, wrong);
      const stranger = port === undefined ? undefined : otherListener(tools, port, now);
      if (stranger !== undefined) throw stranger;
      return again;
    },
  };
}

/** The instances, as soon as all are online, or as they are after `patience` milliseconds. */
async function onceAllRun(tools: Toolbox, appName: string, patience: number): Promise<Instance[]> {
  const end = performance.now() + patience;
  for (;;) {
    const now = await instancesOf(tools, appName);
    if (now.every(({ status }) => status === 'online') || performance.now() > end) return now;
    await pause(BETWEEN_STARTS);
  }
}

async function instancesOf(tools: Toolbox, appName: string): Promise<Instance[]> {
  return (await findEntry(tools, appName))?.instances ?? [];
}

/** Looks now and then while the answer is awaited, so that a crash loop is not waited for until the deadline. */
async function watchForCrash(
  tools: Toolbox,
  appName: string,
  first: readonly Instance[],
  stop: AbortController,
): Promise<string | undefined> {
  try {
    for (;;) {
      await pause(BETWEEN_LOOKS, stop.signal);
      const now = await instancesOf(tools, appName);
      const restarts = now.some(({ id, restarts }) => {
        const sample = first.find((instance) => instance.id === id);
        return sample !== undefined && restarts >= sample.restarts + 2;
      });
      const gone = now.length === 0 || now.some(({ status }) => status === 'errored' || status === 'stopped');
      if (!restarts && !gone) continue;
      stop.abort();
      return judgeInstances([], first, now) ?? 'it crashes again and again';
    }
  } catch {
    // The answer came, or PM2 could not be asked: the check that is awaited decides.
    return undefined;
  }
}

function crashed(appName: string, why: string): Failure {
  return new Failure({
    message: `The restarted application does not stay up: ${why}.`,
    next: logWords(appName),
  });
}

/** Where a person finds what the application printed. */
export function logWords(appName: string): string {
  return `See "pm2 logs ${appName}" on the server.`;
}

/** A program that holds the port but does not belong to the application: an old one that PM2 has lost, or another. */
export function otherListener(
  tools: Toolbox,
  port: number,
  instances: readonly Instance[],
): Failure | undefined {
  const own = new Set(instances.map(({ pid }) => pid));
  const daemon = daemonPid(tools);
  // In cluster mode PM2's daemon itself holds the socket.
  const listeners = listenersOn(port);
  const foreign = listeners.filter((pid) => pid !== daemon && !descendsFrom(pid, own));
  if (foreign.length === 0 || foreign.length < listeners.length) return undefined;
  return new Failure({
    message: `Port ${port} is served by another program (pid ${foreign[0]}: ${textStart(commandOf(foreign[0]!) ?? '?', 120)}), not by the application.`,
    next: 'End that program on the server, or correct health-port.',
  });
}
