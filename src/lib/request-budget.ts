/**
 * How many requests we may send to one application, and at what pace: people limit them (express-rate-limit allows 100
 * in a quarter of an hour by default), and a good version must not be taken back because we asked too often. Pure but
 * for the ledger that is handed in.
 */

/** One request that went out. */
export interface SentRequest {
  /** Milliseconds of the clock of the host that asked; never compared with another host's. */
  readonly at: number;
  /** The deploy that it was for. */
  readonly run: string;
}

/** What is remembered of all that one host has asked one application. */
export interface RequestLedger {
  /** Requests of the last quarter of an hour at least, and all of the run that asks. */
  sent(): readonly SentRequest[];
  add(sent: SentRequest): void;
  /** The scripts and styles of a version that answered already: each is asked for once. */
  assets(version: string): ReadonlySet<string>;
  addAsset(version: string, path: string): void;
}

/** The requests that one deploy may send from one host, and those of any quarter of an hour. */
export interface RequestBudget {
  /** Names the deploy: run and attempt. */
  readonly run: string;
  readonly limit: number;
  readonly window: number;
}

const WINDOW = 15 * 60_000;

/** What a deploy may ask of one application in all, and what may be asked of it in any quarter of an hour. */
const MOST = { limit: 60, window: 90 };
/** The part of it that the server has where the runner asks too; the rest is the runner's. */
const SERVER_PART = 3 / 4;

/** The budget of a place. `alone`: nobody else asks the same application in this deploy. */
export function budgetOf(place: 'server' | 'runner', alone: boolean, run: string): RequestBudget {
  const part = alone ? 1 : place === 'server' ? SERVER_PART : 1 - SERVER_PART;
  return { run, limit: Math.floor(MOST.limit * part), window: Math.floor(MOST.window * part) };
}

/** Requests that may go out still. A clock that was set back leaves stamps in the future: they count as well. */
export function requestsLeft(sent: readonly SentRequest[], budget: RequestBudget, now: number): number {
  const ofRun = sent.filter(({ run }) => run === budget.run).length;
  const recent = sent.filter(({ at }) => at > now - WINDOW).length;
  return Math.max(0, Math.min(budget.limit - ofRun, budget.window - recent));
}

/**
 * What one round of checks may use of the requests that are left: half of them, so that whatever comes of it the next
 * round, and the way back, can be proven too; but what it needs at least.
 */
export function allowanceOf(left: number, needed: number): number {
  return Math.min(left, Math.max(Math.ceil(left / 2), needed));
}

/** Milliseconds: between the first tries, and between later ones where there are requests enough. */
const FIRST_WAIT = 100;
const LATER_WAIT = 1_000;
const SLOWEST_GROWTH = 1.5;

/**
 * The pace at which an application is asked that answers, but not well yet: milliseconds until the next try, after
 * `elapsed` milliseconds of answers. At first tries follow each other closely, then ever more slowly, so that `trials`
 * of them last for all of `span`.
 */
export function waitWhileBad(elapsed: number, trials: number, span: number): number {
  const most = Math.max(1, trials);
  const growth = Math.max(SLOWEST_GROWTH, (span / FIRST_WAIT) ** (2 / most));
  const longest = Math.max(LATER_WAIT, (2 * span) / (most + 2));
  return Math.round(Math.max(FIRST_WAIT, Math.min(elapsed * (growth - 1), longest)));
}

/** Milliseconds until a check that is good is asked again while others of `checks` are waited for. */
export function waitWhileGood(elapsed: number, checks: number): number {
  return Math.round(Math.max(LATER_WAIT, elapsed * checks));
}

/** The requests of one round of checks. */
export interface Requests {
  /** How many the round may send in all. */
  readonly allowance: number;
  /** True where one more may go out now; `essential` ones may always: the first and the last look of a check. */
  begin(essential: boolean): boolean;
  /** After each that began. `counted`: the application got to see it; it does not where the port is closed. */
  end(counted: boolean): void;
  /** How many may go out still. */
  left(): number;
}

/** Opens the counter for one round of checks that needs `needed` requests where all goes well. */
export function openRequests(
  ledger: RequestLedger,
  budget: RequestBudget,
  needed: number,
  now: () => number = Date.now,
): Requests {
  const unsent = (): number => requestsLeft(ledger.sent(), budget, now());
  const allowance = allowanceOf(unsent(), needed);
  let used = 0;
  let underWay = 0;
  const left = (): number => Math.min(allowance - used, unsent()) - underWay;
  return {
    allowance,
    left,
    begin(essential) {
      if (!essential && left() < 1) return false;
      underWay += 1;
      return true;
    },
    end(counted) {
      underWay -= 1;
      if (!counted) return;
      used += 1;
      ledger.add({ at: now(), run: budget.run });
    },
  };
}

/** A ledger for as long as this process lives. */
export function memoryLedger(): RequestLedger {
  const sent: SentRequest[] = [];
  const assets = new Map<string, Set<string>>();
  return {
    sent: () => sent,
    add: (one) => sent.push(one),
    assets: (version) => assets.get(version) ?? new Set(),
    addAsset(version, path) {
      assets.set(version, (assets.get(version) ?? new Set()).add(path));
    },
  };
}
