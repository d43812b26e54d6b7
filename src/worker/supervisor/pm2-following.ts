import { isDeepStrictEqual } from 'node:util';
import type { Problem } from '../../lib/report.js';
import { shortenList } from '../../lib/shorten-list.js';
import type { AppRequest } from '../protocol.js';
import type { Config } from './pm2-config.js';
import { ENV_BLOCK, startEnvironment } from './pm2-ecosystem.js';
import {
  changes,
  differences,
  type EntryValues,
  isTakenByReload,
  otherVariables,
  textValues,
} from './pm2-entry-values.js';

/** An application as an ecosystem file declares it. */
export interface Declared {
  file: string;
  /** As the file has it, for where it will lie. */
  config: Config;
  values: EntryValues;
  /** Variables of the environment that the file reads; `*`: all. */
  reads: readonly string[];
}

export interface FollowingQuestion {
  mode: NonNullable<AppRequest['ecosystem']>;
  appName: string;
  environment: string | undefined;
  /** What PM2 runs. */
  stored: { values: EntryValues; env: Readonly<Record<string, string>> };
  /** By the file of the live commit, and of the new one; undefined where no file has the application. */
  live: Declared | undefined;
  next: Declared | undefined;
}

export type Following =
  /** What PM2 runs is what the new commit says. */
  | { kind: 'same' }
  /** The entry stays as it is, whatever the new commit says. `problem`: what a person is told of that. */
  | { kind: 'keep'; problem?: Problem }
  | {
      kind: 'follow';
      /** `reload`: PM2 takes the change so. `start`: the entry is deleted, and started as the file says. */
      how: 'reload' | 'start';
      /** Keys of the file, variables as `env.NAME`. */
      changed: string[];
      /** The whole environment of the new entry. */
      env: Record<string, string>;
    };

const FOLLOW =
  'To let the entry follow the commit, say ecosystem: follow; to leave it as it is without this word, ecosystem: keep.';

/** Whether and how the entry follows the new commit's ecosystem file. Pure. */
export function decideFollowing(question: FollowingQuestion): Following {
  const { mode, appName, stored, live, next } = question;
  if (mode === 'keep') return { kind: 'keep' };
  if (next === undefined)
    return mode === 'follow'
      ? keep(
          `No ecosystem file of the commit has "${appName}": its PM2 entry stays as it is.`,
          'Add it there, or leave ecosystem: follow out.',
        )
      : { kind: 'keep' };
  // A file that nobody has changed is no reason to say anything.
  if (mode === 'auto' && live !== undefined && isDeepStrictEqual(live.config, next.config))
    return { kind: 'same' };
  const reading = [next, ...(mode === 'auto' && live !== undefined ? [live] : [])].find(
    ({ reads }) => reads.length > 0,
  );
  if (reading !== undefined) return keepsReading(reading);
  return mode === 'auto' ? decideAuto(question, next) : decideFollow(question, next, stored);
}

/**
 * Why the entry does not follow the commits by itself, as the live commit has it; undefined where it does, or where that is told
 * when a file changes. `file`: an ecosystem file that is there. Pure.
 */
export function judgeStanding(
  appName: string,
  file: string,
  live: Declared | undefined,
  stored: FollowingQuestion['stored'],
  environment: string | undefined,
): Problem | undefined {
  if (live === undefined)
    return {
      message: `${file} of the live commit has no "${appName}" that can be read: the PM2 entry was made otherwise, and does not follow the commits.`,
      next: FOLLOW,
    };
  if (live.reads.length > 0) return undefined;
  const block = usedBlock(live.config, stored.env, environment);
  if (block === 'unclear') return { message: unclearBlock(live), next: 'Give its name as environment.' };
  const byHand = changedByHand(live, block, stored);
  if (byHand.length === 0) return undefined;
  return {
    message: `The PM2 entry "${appName}" is not what ${live.file} of the live commit says (${shortenList(byHand)}): it does not follow the commits.`,
    next: FOLLOW,
  };
}

/** In what an entry is not what the live commit's file says. */
function changedByHand(
  live: Declared,
  block: string | undefined,
  stored: FollowingQuestion['stored'],
): string[] {
  const was = environmentOf(live.config, block);
  return [...differences(live.values, stored.values), ...otherVariables(was, stored.env)];
}

function keepsReading({ file, reads }: Declared): Following {
  const names = reads.includes('*') ? 'process.env' : shortenList(reads.map((name) => `process.env.${name}`));
  return keep(
    `${file} reads ${names}, whose value on the server cannot be known: the PM2 entry stays as it is.`,
    'Write the value into the file, or into an environment file of the application. By hand: pm2 delete and start it once.',
  );
}

function decideAuto(question: FollowingQuestion, next: Declared): Following {
  const { appName, environment, stored, live } = question;
  if (live === undefined)
    return keep(
      `${next.file} has "${appName}", and the live commit has no ecosystem file with it: the PM2 entry, which was made otherwise, stays as it is.`,
      FOLLOW,
    );
  const block = usedBlock(live.config, stored.env, environment);
  if (block === 'unclear') return keep(unclearBlock(live), 'Give its name as environment.');
  const was = environmentOf(live.config, block);
  const byHand = changedByHand(live, block, stored);
  if (byHand.length > 0)
    return keep(
      `${next.file} was changed, but the PM2 entry is not what ${live.file} said before (${shortenList(byHand)}): it stays as it is.`,
      FOLLOW,
    );
  const will = environmentOf(next.config, block);
  const gone = Object.keys(was).filter((name) => will[name] === undefined);
  const changed = [...changes(live.values, next.values), ...otherVariables(will, stored.env)];
  return followed(changed, gone, next, { ...stored.env, ...will });
}

function decideFollow(
  { environment, live }: FollowingQuestion,
  next: Declared,
  stored: FollowingQuestion['stored'],
): Following {
  const before = live && usedBlock(live.config, stored.env, environment);
  const named = blocksOf(next.config).find((name) => name === ENV_BLOCK + environment);
  const isUnclear = before === 'unclear' || live === undefined;
  if (named === undefined && isUnclear && blocksOf(next.config).length > 0)
    return keep(unclearBlock(next), 'Give its name as environment.');
  const block = named ?? (before === 'unclear' ? undefined : before);
  const will = environmentOf(next.config, block);
  const changed = [...differences(next.values, stored.values), ...otherVariables(will, stored.env)];
  return followed(changed, [], next, { ...stored.env, ...will });
}

function followed(
  changed: string[],
  gone: readonly string[],
  next: Declared,
  env: Record<string, string>,
): Following {
  const all = [...changed, ...gone.map((name) => `env.${name}`)];
  if (all.length === 0) return { kind: 'same' };
  for (const name of gone) delete env[name];
  const reload = gone.length === 0 && isTakenByReload(changed, next.values);
  return { kind: 'follow', how: reload ? 'reload' : 'start', changed: all, env };
}

function keep(message: string, next: string): Following {
  return { kind: 'keep', problem: { message, next } };
}

function unclearBlock({ file, config }: Declared): string {
  return `${file} has ${blocksOf(config).join(', ')}, and it cannot be told which of them the PM2 entry was started with: it stays as it is.`;
}

function blocksOf(config: Config): string[] {
  return Object.keys(config).filter((key) => key.startsWith(ENV_BLOCK));
}

function environmentOf(config: Config, block: string | undefined): Record<string, string> {
  return textValues(startEnvironment(config, block?.slice(ENV_BLOCK.length)).env);
}

/**
 * The block `env_<name>` that an entry was started with, by its variables: the one that explains most of them. Undefined: `env`
 * alone. Where two blocks explain as much, and differ, it cannot be told.
 */
export function usedBlock(
  config: Config,
  stored: Readonly<Record<string, string>>,
  environment: string | undefined,
): string | undefined | 'unclear' {
  const explained = (block: string | undefined): number => {
    const env = environmentOf(config, block);
    return Object.entries(env).every(([name, value]) => stored[name] === value)
      ? Object.keys(env).length
      : -1;
  };
  const blocks = [undefined, ...blocksOf(config)];
  const named = blocks.find((block) => block === ENV_BLOCK + environment);
  if (named !== undefined && explained(named) >= 0) return named;
  const most = Math.max(...blocks.map(explained));
  if (most < 0) return blocks.length === 1 ? undefined : 'unclear';
  const best = blocks.filter((block) => explained(block) === most);
  const alike = best.every((block) =>
    isDeepStrictEqual(environmentOf(config, block), environmentOf(config, best[0])),
  );
  return alike ? best[0] : 'unclear';
}
