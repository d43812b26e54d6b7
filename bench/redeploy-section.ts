/** What the benchmark of redeploy and rollback says about its runs. */
import { median, milliseconds, spread, table } from './measure.js';
import { shopRoutes } from './next-shop.js';
import type { Watched } from './watch.js';

export const OURS = 'this action';
export const OLD = 'the old script';
export const PAIR = 'this action, 2 instances';

/** Milliseconds of each part, by its name. */
export type Parts = Record<string, number>;

export interface Measured extends Watched {
  /** Until the command had ended and the version that it should bring was served. */
  total: number;
  parts: Parts;
  /** The version that was served at the end. */
  version: string | undefined;
}

export interface Round {
  /** The version that was live. */
  before: string;
  /** The version that the deploy should bring. */
  wanted: string;
  deploy: Measured;
  rollback: Measured;
}

/** What a deploy consists of, and the steps that count for it; the rest is what no step tells of. */
const PARTS: Readonly<Record<string, readonly string[]>> = {
  fetch: ['fetch', 'stage'],
  install: ['install'],
  build: ['build'],
  rehearsal: ['rehearsal'],
  restart: ['cutover', 'put back', 'restart'],
  verification: ['verification'],
};

export type Results = ReadonlyMap<string, readonly Round[]>;

function partsOf({ parts, total }: Measured): Parts {
  const sum = (steps: readonly string[]): number => steps.reduce((all, step) => all + (parts[step] ?? 0), 0);
  const known = Object.entries(PARTS).map(([name, steps]): [string, number] => [name, sum(steps)]);
  const rest = total - known.reduce((all, [, time]) => all + time, 0);
  return { ...Object.fromEntries(known), rest };
}

function outcomes(results: Results, of: (round: Round) => Measured & { right: boolean }): string {
  const rows = [...results].map(([name, all]) => {
    const runs = all.map(of);
    const requests = runs.reduce((sum, each) => sum + each.requests, 0);
    const failed = runs.reduce((sum, each) => sum + each.failed, 0);
    return [
      name,
      times(runs.map(({ total }) => total)),
      `${failed.toLocaleString('en')} of ${requests.toLocaleString('en')}`,
      milliseconds(Math.max(...runs.map(({ gap }) => gap))),
      `${runs.filter(({ right }) => right).length} of ${runs.length}`,
    ];
  });
  return table(['', 'total', 'failed requests', 'longest gap', 'right version served'], rows);
}

/** What was measured once has nothing that it varied between. */
function times(values: readonly number[]): string {
  return values.length === 1 ? milliseconds(values[0]!) : spread(values);
}

function partsTable(results: Results): string {
  const names = [...Object.keys(PARTS), 'rest'];
  const rows = [...results].flatMap(([subject, all]) =>
    (['deploy', 'rollback'] as const).map((what) => {
      const runs = all.map((round) => partsOf(round[what]));
      const medians = names.map((name) => median(runs.map((parts) => parts[name]!)));
      return [`${subject}: ${what}`, ...medians.map((time) => (time === 0 ? '' : milliseconds(time)))];
    }),
  );
  return table(['', ...names], rows);
}

/** What each deploy takes beyond what everybody has to wait for: fetch, install and build. */
function overheadTable(results: Results): string {
  const rows = [...results].map(([name, all]) => {
    const runs = all.map(({ deploy }) => partsOf(deploy));
    const own = (...parts: string[]): string =>
      times(runs.map((run) => parts.reduce((sum, part) => sum + run[part]!, 0)));
    return [
      name,
      own('rehearsal', 'restart', 'verification', 'rest'),
      runs.some(({ rehearsal }) => rehearsal! > 0) ? own('rehearsal') : '',
      own('restart'),
      own('verification', 'rest'),
    ];
  });
  return table(['', 'overhead', 'rehearsal', "PM2's restart or reload", 'all else'], rows);
}

/** Milliseconds that a deploy was to take at most beyond fetch, install, build and the rehearsal. */
const AIM = 2_000;

/** What our part takes beside its aim, and on what it goes. */
function overheadAgainstAim(results: Results): string {
  const runs = results.get(OURS)!.map(({ deploy }) => partsOf(deploy));
  const of = (...names: string[]): number =>
    median(runs.map((run) => names.reduce((sum, name) => sum + run[name]!, 0)));
  const over = of('restart', 'verification', 'rest');
  const seconds = (value: number): string => `${(value / 1_000).toFixed(2)} s`;
  return `The aim was ${seconds(AIM)} beside the rehearsal; it ${over <= AIM ? 'is met' : 'is missed'}, with ${seconds(over)}. Of these PM2's reload takes ${seconds(of('restart'))}, and
the verification ${seconds(of('verification'))}, because PM2 counts a start as stable only when it has lasted a second.`;
}

/** The section's text; `aloneMs`: what the build took before any visitor came. */
export function sectionOf(results: Results, aloneMs: number): string {
  const rounds = results.get(OURS)!.length;
  const rollback = (name: string): number => median(results.get(name)!.map((round) => round.rollback.total));
  return `A Next.js application in TypeScript with ${shopRoutes()} pages and API routes, whose \`pnpm build\` took ${milliseconds(aloneMs)} on this machine
before any visitor came. PM2 runs it in cluster mode, with one instance if not said otherwise; over a real sshd, from
a git origin on the same machine, with a warm pnpm store. Visitors load its pages with their scripts, and a probe
asks its health route every 25 ms: each request on a new connection, about 100 a second. They share the processor
with the build. \`total\`: until the command had ended and the other version was served. \`longest gap\`: the longest
time without a good answer to the probe. ${rounds} ${rounds === 1 ? 'round' : 'rounds'}, and one of the last row; each subject has a server of its own,
with the same files.

Deploy:

${outcomes(results, ({ deploy, wanted }) => ({ ...deploy, right: deploy.version === wanted }))}

The build is the same work in every row; where its time differs, the machine was busy with something else.

Next.js serves only the scripts that were there when it started. While several instances change one after the other,
a new page's request for its scripts can reach an instance that still runs the old version and does not have them: this
action keeps the old version's scripts for pages that are open, but cannot give new ones to an old process.

Rollback, which is right where it serves the version that was live before the deploy. The old script
goes one commit back, and each version is pushed as two. Pushed as one, it goes back to the right version as long as
the one before was not itself rolled back:

${outcomes(results, ({ rollback: back, before }) => ({ ...back, right: back.version === before }))}

The old script's rollback takes ${(rollback(OLD) / rollback(OURS)).toFixed(1)} times as long as this action's.

What a deploy takes beyond fetch, install and build. \`rehearsal\`: the new version is started and asked beside the
live one, before anything is switched. \`all else\`: starting the command, connecting, looking at the server,
verification, \`pm2 save\`, and waiting for the new version to be served.

${overheadTable(results)}

${overheadAgainstAim(results)}

Where the time goes. \`fetch\`: with the checkout of the files. \`restart\`: PM2's restart or reload, with this action
the exchange of the files too. \`rest\`: what the other columns do not name.

${partsTable(results)}`;
}
