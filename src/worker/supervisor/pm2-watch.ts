import { textStart } from '../../lib/cut-text.js';
import { Failure } from '../../lib/report.js';
import { pause } from '../../lib/retry.js';
import { ageOf, commandOf, descendsFrom, listenersOn } from '../host/processes.js';
import type { Toolbox } from '../host/toolbox.js';
import type { Instance } from './entry.js';
import { daemonPid, findEntry } from './pm2-client.js';
import type { Restarted, Watch } from './supervisor.js';

/** Milliseconds that a program must have run before its start counts as stable: PM2's min_uptime, by its default. */
const MIN_UPTIME = 1_000;
/** Milliseconds between looks while the answer is awaited. */
const BETWEEN_LOOKS = 1_500;

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
 * Watches the instances of a restarted application. It is proven where all of them are online, really new, up for as
 * long as PM2 asks of a stable start and not restarting, and the port is served by this application.
 */
export async function watchInstances(
  tools: Toolbox,
  appName: string,
  { port, health, before }: Restarted,
): Promise<Watch> {
  const sampledAt = performance.now();
  const entry = await findEntry(tools, appName);
  const first = entry?.instances ?? [];
  const stop = new AbortController();
  const crash = watchForCrash(tools, appName, first, stop);
  return {
    signal: stop.signal,
    async end() {
      stop.abort();
      const why = await crash;
      return why === undefined ? undefined : crashed(appName, why);
    },
    async prove() {
      const ages = first.map(({ pid }) => ageOf(pid));
      const minUptime = Math.min(entry?.minUptime ?? MIN_UPTIME, health.deadline);
      await pause(untilStable(ages, performance.now() - sampledAt, minUptime));
      const second = await instancesOf(tools, appName);
      const wrong = judgeInstances(before.instances, first, second);
      if (wrong !== undefined) throw crashed(appName, wrong);
      const stranger = otherListener(tools, port, second);
      if (stranger !== undefined) throw stranger;
      return false;
    },
  };
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
function otherListener(tools: Toolbox, port: number, instances: readonly Instance[]): Failure | undefined {
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
