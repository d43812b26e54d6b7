import { answers } from '../../http/check-health.js';
import { LOOPBACK } from '../../http/loopback-lookup.js';
import { formatDuration } from '../../lib/duration.js';
import type { Problem } from '../../lib/report.js';
import { openRequests } from '../../lib/request-budget.js';
import { pause } from '../../lib/retry.js';
import type { HealthRequest } from '../protocol.js';
import { ledgerOf } from './loopback-health.js';
import { connects } from './port.js';

/** One request of the probe, or one look at the port; times in milliseconds of one clock. */
export interface Probed {
  asked: number;
  /** When the answer began, or when it was given up. */
  ended: number;
  good: boolean;
}

export interface Downtime {
  /** Milliseconds during which the port was closed or did not answer. */
  ms: number;
  /** Requests that were given up although a later one had been answered by then: the port was up, they were lost. */
  lost: number;
  requests: number;
  /** The longest time, in milliseconds, in which no answer was asked for: a shorter fault of an open port is not seen. */
  resolution: number;
}

export interface DowntimeProbe {
  /** Ends it, once or again, and gives the milliseconds. The requests under way are waited for: up to five seconds. */
  stop(): Promise<number>;
}

/** Whoever is told what the probe found. */
export interface DowntimeReporter {
  warn(problem: Problem): void;
  progress(text: string): void;
}

/** Milliseconds between two looks whether the port is open: a connection, of which an application notices nothing. */
const EVERY = 20;
/** Requests at most: they are counted, and the health checks need them more. `PART` of those left are the probe's. */
const MOST_REQUESTS = 6;
const PART = 1 / 4;
/** Milliseconds from a request to the next, and how it grows; it begins again when the port opens, and after a bad one. */
const FIRST_GAP = 100;
const GROWTH = 3;
/** Milliseconds after which a connection, and a request, is given up; the words of `lostRequests` name the latter. */
const LONGEST_CONNECT = 1_000;
const LONGEST = 5_000;

/**
 * Measures on loopback for how long an application is away, until it is stopped: by the port, many times a second, and
 * by a few answers, since an open port may answer nothing. `reporter` is told at the end how closely it was measured, and
 * is warned of requests that were lost.
 */
export function probeDowntime(
  port: number,
  budget: HealthRequest['budget'],
  reporter: DowntimeReporter,
): DowntimeProbe {
  const looks: Probed[] = [];
  const requests: Promise<Probed>[] = [];
  const mayAsk = requestCounter(budget);
  let running = true;
  let gap = FIRST_GAP;
  let nextRequest = 0;
  let bad = false;
  const closely = (): void => {
    gap = FIRST_GAP;
    nextRequest = Math.min(nextRequest, performance.now() + gap);
  };
  const request = (): void => {
    const asked = sample(() => answers(`http://${LOOPBACK}:${port}/`, LONGEST));
    nextRequest = performance.now() + gap;
    gap *= GROWTH;
    requests.push(asked);
    void asked.then(({ good }) => {
      bad = !good;
      if (bad) closely();
    });
  };
  const measured = (async () => {
    const from = performance.now();
    let wasOpen = false;
    while (running) {
      const look = await sample(() => connects(port, LONGEST_CONNECT));
      looks.push(look);
      if (look.good && !wasOpen) {
        closely();
        nextRequest = look.ended;
      }
      wasOpen = look.good;
      if (look.good && performance.now() >= nextRequest && mayAsk(false)) request();
      await pause(EVERY);
    }
    // A fault that nobody has seen the end of would last until now.
    if (bad && wasOpen && mayAsk(true)) request();
    const answered = await Promise.all(requests);
    const downtime = measureDowntime(looks, answered, { from, to: performance.now() });
    if (downtime.lost > 0) reporter.warn(lostRequests(downtime));
    reporter.progress(howMeasured(downtime));
    return downtime.ms;
  })();
  return {
    stop() {
      running = false;
      return measured;
    },
  };
}

async function sample(work: () => Promise<boolean>): Promise<Probed> {
  const asked = performance.now();
  const good = await work();
  return { asked, ended: performance.now(), good };
}

/** Says of each request whether it may go out, and counts it; one is kept for the last. */
function requestCounter(budget: HealthRequest['budget']): (last: boolean) => boolean {
  const counted = budget && openRequests(ledgerOf(budget), budget, 0);
  const most = Math.min(MOST_REQUESTS, counted ? Math.floor(counted.left() * PART) : MOST_REQUESTS);
  let used = 0;
  return (last) => {
    if (used >= (last ? most : most - 1) || counted?.begin(false) === false) return false;
    counted?.end(true);
    used += 1;
    return true;
  };
}

interface Span {
  from: number;
  to: number;
}

/**
 * Adds up the gaps that the looks at the port and the requests saw, counting no moment twice. Pure; takes both in the
 * order they were sent in.
 */
export function measureDowntime(
  looks: readonly Probed[],
  requests: readonly Probed[],
  measured: Span,
): Downtime {
  const port = gapsOf(looks);
  const answers = gapsOf(requests);
  const sent = [measured.from, ...requests.map(({ asked }) => asked), measured.to];
  return {
    ms: Math.round(lengthOf([...port.gaps, ...answers.gaps])),
    lost: answers.lost,
    requests: requests.length,
    resolution: Math.round(Math.max(...sent.slice(1).map((at, index) => at - sent[index]!))),
  };
}

/**
 * One opens when something goes out that is never answered, and closes with the first good answer to a later one, or
 * with the end.
 */
function gapsOf(asked: readonly Probed[]): { gaps: Span[]; lost: number } {
  const gaps: Span[] = [];
  let lost = 0;
  let closes = asked.reduce((latest, { ended }) => Math.max(latest, ended), 0);
  for (const { asked: from, ended, good } of [...asked].reverse()) {
    if (good) {
      closes = Math.min(closes, ended);
      continue;
    }
    gaps.push({ from, to: closes });
    if (closes < ended) lost++;
  }
  return { gaps, lost };
}

/** The length of all of them together, where they overlap once. */
function lengthOf(spans: readonly Span[]): number {
  let length = 0;
  let until = Number.NEGATIVE_INFINITY;
  for (const { from, to } of [...spans].sort((a, b) => a.from - b.from)) {
    length += Math.max(0, to - Math.max(from, until));
    until = Math.max(until, to);
  }
  return length;
}

function howMeasured({ ms, requests, resolution }: Downtime): string {
  return `${formatDuration(ms)} without an answer: the port was looked at every ${EVERY} ms; ${requests === 1 ? '1 answer was' : `${requests} answers were`} asked for, so a fault behind an open port that is shorter than ${formatDuration(resolution)} may not be in it`;
}

function lostRequests({ lost, requests }: Downtime): Problem {
  return {
    message: `${lost} of ${requests} requests on loopback during the cutover got no answer within 5 s, though later ones did.`,
    next: 'Under PM2 in cluster mode an application loses a connection now and then when it exits on SIGINT without disconnecting first: docs/server.md, "No connection lost".',
  };
}
