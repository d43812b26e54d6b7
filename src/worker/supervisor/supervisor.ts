import type { VersionMarks } from '../../http/answered-version.js';
import type { Failure, Problem } from '../../lib/report.js';
import type { HealthRequest, HostFacts } from '../protocol.js';
import type { Reporter } from '../run/reporter.js';
import type { Strategy } from '../state/layout.js';
import type { StateFolder } from '../state/state-folder.js';
import type { Entry, Instance } from './entry.js';

/**
 * What runs the application on this host and restarts it. One is made for each application (see `choice.ts`); everything
 * outside of this folder knows this interface alone, and not which supervisor is behind it.
 */
export interface Supervisor {
  /** Folders of the programs with which it runs applications: the Node, pnpm and npm that a build needs too. */
  programFolders(): string[];
  /** How the application is run, and what stands against a deploy or will hurt. Changes nothing. */
  look(question: SupervisorQuestion): Promise<FoundApplication>;
  /** True for a program that a supervisor of this host has started: it is not for us to end. */
  keeps(pid: number): boolean;
  /** Why a version cannot be started beside the live one; `entry` is undefined before the first start is decided. */
  rehearsalObstacle(entry: Pick<Entry, 'args' | 'env' | 'portless'> | undefined): string | undefined;
  /**
   * Decides how an application without an entry is started; undefined where that is not for the supervisor to know.
   * @throws a Failure where neither the request nor the commit says it.
   */
  firstStart(build: NewBuild): Promise<FirstStart | undefined>;
  /**
   * Decides how an application that is run already is run from this build on; undefined where nothing of that changes.
   * @throws a Failure where a person wants it to follow the commit, and what the commit says cannot be read.
   */
  follow(
    build: Pick<NewBuild, 'folder' | 'reporter'>,
    live: LiveApplication,
  ): Promise<EntryChange | undefined>;
  /** What stands against that it follows the commits to come, which a plan tells. */
  standing(live: LiveApplication): Promise<Problem | undefined>;
  /** Writes down how the application is run now, for `restart` to bring back; for nobody else to read. */
  keepEntry(file: string): Promise<void>;
  /** What was written down there: whether the application is run so now, and on which port it listens then. */
  readKept(file: string): Promise<KeptEntry | undefined>;
  /** A file that is locked while one of its applications is switched; undefined where nobody has to wait. */
  turnFile(): string | undefined;
  /** How a restart is proven: by the programs that it names, or by the versions that the answers name. */
  readonly provenBy: 'programs' | 'answers';
  /** What runs now, for `watch` to compare with. `entry`: as found a moment ago; saves a question. */
  running(port: number | undefined, entry?: Entry): Promise<RunningPrograms>;
  /**
   * How long it must be told to wait for a version of which the rehearsal listened after `bootMs` milliseconds;
   * undefined where it waits long enough. Never more than `longest` milliseconds.
   */
  longerWait(entry: Entry | undefined, bootMs: number | undefined, longest: number): LongerWait | undefined;
  /** Brings what lies on the disk to life. @throws a Failure where it says that this failed. */
  restart(options: RestartOptions): Promise<void>;
  /** Looks at the application from right after its restart on. */
  watch(restarted: Restarted): Promise<Watch>;
  /** Lets the application be started after a reboot as it runs now; resolves to why that could not be. */
  save(): Promise<Unsaved | undefined>;
  /** Takes away what a first start has begun. */
  remove(): Promise<void>;
  /** The command by which a person restarts the application. */
  readonly restartWords: string;
  /** The command by which a person runs it as it was written down in a file of `keepEntry`. */
  keptEntryWords(file: string): string;
  /** Where a person finds what the application printed. */
  readonly logWords: string;
}

export interface SupervisorQuestion {
  layout: HostFacts['layout'];
  strategy: Strategy;
  /** Next.js is among the dependencies. */
  next: boolean;
}

export interface FoundApplication {
  /** Undefined where the application is not run yet, or nothing says how. */
  entry?: Entry;
  facts: Pick<HostFacts, 'pm2' | 'port' | 'portless' | 'entry'>;
  refusals: Problem[];
  warnings: Problem[];
}

/** A build that may have to be started for the first time. */
export interface NewBuild {
  /** Where it lies now. */
  folder: string;
  /** As a person gave it. */
  startCommand?: string;
  /** The scripts of its package.json. */
  scripts?: Record<string, string>;
  /** The program that runs them. */
  packageManager: string;
  reporter: Pick<Reporter, 'progress' | 'warn'>;
}

/** How an application is started that its supervisor does not know yet. */
export interface FirstStart {
  /** What the supervisor is told, in its own words. */
  config: Readonly<Record<string, unknown>>;
  /** The same as an entry, for the rehearsal. */
  entry: Entry;
}

/** How an application is run from a version on. */
export interface EntryChange extends FirstStart {
  /** `reload`: taken up by its running programs. `start`: all end, and are started anew. */
  how: 'reload' | 'start';
  /** What a person is told of it. */
  words: string;
}

/** An application as it is run while a new version is built. */
export interface LiveApplication {
  /** Where its version lies. */
  folder: string;
  entry: Entry;
}

export interface KeptEntry {
  isAsNow: boolean;
  port?: number;
}

/** What runs before a restart; nothing of it proves that there was one. */
export interface RunningPrograms {
  /** Those that the supervisor names. */
  instances: readonly Instance[];
  /** Behind the port, where it names none: see `programsBehind`. */
  programs: ReadonlySet<string>;
}

/** By what each of two versions can be told from the other. */
export interface Versions {
  to: VersionMarks;
  from: VersionMarks;
}

export interface LongerWait {
  /** Milliseconds. */
  ms: number;
  /** What a person is told of it. */
  words: string;
}

export interface RestartOptions {
  state: Pick<StateFolder, 'path'>;
  /** Milliseconds that it is to wait for each new instance; default: what it has stored. */
  wait?: number;
  /** How the application is started where it has no entry. */
  start?: FirstStart;
  /** How it is run from now on. */
  change?: EntryChange;
  /** A file of `keepEntry`: it is run as it was then. */
  kept?: string;
}

export interface Restarted {
  /** Undefined for a program without one: only its supervisor tells how it is. */
  port: number | undefined;
  health: HealthRequest;
  /** What ran before the restart. */
  before: RunningPrograms;
  /** By what the version that must serve now is told from the other. */
  versions: Versions;
  /** Told now and then what is still being waited for. */
  tell?: ((text: string) => void) | undefined;
  warn: (problem: Problem) => void;
}

/** A look at a restarted application that lasts until it has answered. */
export interface Watch {
  /** Fires where it is seen to crash again and again: its answer is not worth waiting for. */
  readonly signal: AbortSignal;
  /** Milliseconds that the supervisor itself may take until a program runs, beside what the application takes. */
  readonly ownDelay: number;
  /** Ends the look; resolves to why the signal has fired. Never rejects, and may be called again. */
  end(): Promise<Failure | undefined>;
  /**
   * After a good answer: proves that it comes from the restarted application, and that this stays up. True where time
   * has passed in which another version may have answered, so that it has to be asked once more.
   * @throws a Failure where it is proven that it does not.
   */
  prove(): Promise<boolean>;
}

/** Why the application would not be started after a reboot as it runs now, and the command that cures it. */
export interface Unsaved {
  message: string;
  command: string;
}
