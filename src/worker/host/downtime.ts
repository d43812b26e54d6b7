import type { Problem } from '../../base/report.js';
import { pause } from '../../base/retry.js';
import { LOOPBACK } from '../../web/loopback.js';
import { answers } from '../../web/probe.js';

/** One request of the probe; times in milliseconds of one clock. */
export interface Asked {
  asked: number;
  /** When the answer began, or when it was given up. */
  ended: number;
  good: boolean;
}

export interface Downtime {
  /** Milliseconds during which the port did not answer. */
  ms: number;
  /** Requests that were given up although a later one had been answered by then: the port was up, they were lost. */
  lost: number;
  requests: number;
}

export interface DowntimeProbe {
  /** Ends it, once or again, and gives the milliseconds. The requests under way are waited for: up to five seconds. */
  stop(): Promise<number>;
}

/** Milliseconds from an answer to the next request. */
const EVERY = 20;
/** Milliseconds after which the next request goes out beside one without an answer, so that a lost one hides nothing. */
const PATIENCE = 100;
/** Milliseconds after which a request is given up; the words of `lostRequests` name it. */
const LONGEST = 5_000;

/** Asks the port on loopback again and again, until it is stopped; `warn` is told at the end of requests that were lost. */
export function probeDowntime(port: number, warn: (problem: Problem) => void): DowntimeProbe {
  const requests: Promise<Asked>[] = [];
  let running = true;
  const measured = (async () => {
    while (running) {
      const request = askOnce(port);
      requests.push(request);
      await Promise.race([request, pause(PATIENCE)]);
      await pause(EVERY);
    }
    const downtime = measureDowntime(await Promise.all(requests));
    if (downtime.lost > 0) warn(lostRequests(downtime));
    return downtime.ms;
  })();
  return {
    stop() {
      running = false;
      return measured;
    },
  };
}

async function askOnce(port: number): Promise<Asked> {
  const asked = performance.now();
  const good = await answers(`http://${LOOPBACK}:${port}/`, LONGEST);
  return { asked, ended: performance.now(), good };
}

/**
 * Adds up the gaps, counting no moment twice: one opens when a request goes out that is never answered, and closes with
 * the first good answer to a later request, or with the end. Pure; takes the requests in the order they were sent in.
 */
export function measureDowntime(requests: readonly Asked[]): Downtime {
  let ms = 0;
  let lost = 0;
  // From the last to the first: each gap then closes no later, and opens no later, than the one before it in this loop.
  let closes = requests.reduce((latest, { ended }) => Math.max(latest, ended), 0);
  let countedFrom = closes;
  for (let at = requests.length - 1; at >= 0; at--) {
    const { asked, ended, good } = requests[at]!;
    if (good) {
      closes = Math.min(closes, ended);
      continue;
    }
    ms += Math.max(0, Math.min(closes, countedFrom) - asked);
    countedFrom = asked;
    if (closes < ended) lost++;
  }
  return { ms: Math.round(ms), lost, requests: requests.length };
}

function lostRequests({ lost, requests }: Downtime): Problem {
  return {
    message: `${lost} of ${requests} requests on loopback during the cutover got no answer within 5 s, though later ones did.`,
    next: 'Under PM2 in cluster mode an application loses a connection now and then when it exits on SIGINT without disconnecting first: docs/server.md, "No connection lost".',
  };
}
