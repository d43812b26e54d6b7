import { basename, dirname, join } from 'node:path';
import { definedOnly } from '../../lib/defined-only.js';
import { emptyConnection } from '../../lib/empty-connection.js';
import { Failure, type HealthFact, type Problem, problemsOf } from '../../lib/report.js';
import { quote } from '../../lib/shell.js';
import { readText } from '../host/files.js';
import { freeSpace, judgeFreeSpace } from '../host/free-space.js';
import {
  type GitRepository,
  gitVersion,
  hiddenChanges,
  isGitSince,
  OLDEST_GIT,
  tryGit,
} from '../host/git.js';
import { currentHolder } from '../host/lock.js';
import { openToolbox, type Toolbox } from '../host/toolbox.js';
import { type EnvRun, findEnvFiles, judgeHostEnvFiles } from '../host-files/env-files.js';
import { changedByPeople } from '../host-files/local-changes.js';
import type { AppRequest, HostFacts } from '../protocol.js';
import { type History, historyOf, readJournal } from '../state/journal.js';
import {
  checkoutBehind,
  type Layout,
  layoutOf,
  liveFolder,
  releasesFolder,
  type Strategy,
  strategyFor,
} from '../state/layout.js';
import { refuseOtherFormats } from '../state/record-formats.js';
import { readNote } from '../state/releases.js';
import { locateStateFolder, readState, type StateFolder } from '../state/state-folder.js';
import { supervisorOf } from '../supervisor/choice.js';
import type { Entry } from '../supervisor/entry.js';
import type { Supervisor } from '../supervisor/supervisor.js';
import { enclosingCheckout, judgeLinkPlace, judgeOwners, judgeWays } from './folders.js';
import { type ProjectFiles, readProject, usesNext } from './project-files.js';

/** What a look at the host found, for the decisions of the worker; `facts` is the part that the action is told. */
export interface HostState {
  readonly app: AppRequest;
  readonly tools: Toolbox;
  /** What runs the application. */
  readonly supervisor: Supervisor;
  readonly state: StateFolder;
  readonly strategy: Strategy;
  /** The folder that serves now, symlinks resolved. */
  readonly live?: string;
  /** The checkout that serves now, where it is one. */
  readonly checkout?: GitRepository;
  readonly releases: string;
  readonly history: History;
  /** How the supervisor runs the application, where it does and says so. */
  readonly entry?: Entry;
  readonly project: ProjectFiles;
  readonly facts: HostFacts;
  /** The other programs of the checkout that are restarted with it, in this order. */
  readonly others: readonly OtherProgram[];
  /** What the live version answered before anything was changed; undefined where it was not asked. */
  readonly liveHealth?: readonly HealthFact[];
}

/** A program of the checkout beside the application. */
export interface OtherProgram {
  readonly name: string;
  readonly supervisor: Supervisor;
  /** How it is run, where it is. */
  readonly entry?: Entry;
}

/** Looks at everything, writes nothing. Problems are gathered, not thrown: a person wants to see all at once. */
export async function readHostState(app: AppRequest, env: NodeJS.ProcessEnv): Promise<HostState> {
  const refusals: Problem[] = [];
  const warnings: Problem[] = [];
  const plain = openToolbox(env);
  const tools = plain.withFolders(supervisorOf(plain, app).programFolders());
  const supervisor = supervisorOf(tools, app);
  const layout = layoutOf(app.appPath);
  const strategy = strategyFor(layout, app.strategy);
  const state = gather(refusals, () => locateStateFolder(app.appPath, tools.home));
  if (state === undefined) throw new Failure(refusals);
  refuseOtherFormats(state);
  const history = historyOf(readJournal(state));
  const live = liveFolder(app.appPath);
  const checkout = live === undefined ? undefined : { tools, folder: live };
  const releases = releasesFolder(app.appPath, state);
  const misplaced =
    strategy === undefined
      ? await wrongStrategy(app, layout, tools)
      : judgeLinkPlace(app.appPath, strategy, releases);
  if (misplaced !== undefined) refusals.push(misplaced);
  refusals.push(...judgeWays(app.appPath, releases, state.path));
  const project = live === undefined ? { files: new Set<string>() } : readProject(live);
  const facts: HostFacts = {
    layout,
    strategy: strategy ?? 'in-place',
    stateFolder: state.path,
    liveVerified: false,
    dirtyFiles: [],
    node: process.versions.node,
    ...definedOnly({ git: await gitVersion(tools) }),
    ...freeSpace(app.appPath),
    refusals,
    deployRefusals: [],
    warnings,
  };
  const behind = app.strategy === 'auto' ? checkoutBehind(app.appPath) : undefined;
  if (behind !== undefined)
    facts.deployRefusals.push({
      message: `${app.appPath} is a symlink to ${behind}, which is a git checkout and no release.`,
      next: `Give ${behind} as app-path to deploy in place there; with strategy: releases new releases take its place behind the symlink.`,
    });
  const note = history.live && readNote(state, history.live.release);
  await lookAtGit(facts, checkout, history);
  if (checkout && facts.liveSha !== undefined && strategy !== 'releases') {
    refusals.push(...(await judgeOwners(checkout, note?.paths ?? [])));
    await lookAtChanges(facts, { checkout, state, releases, history });
  }
  const run = await supervisor.look({ layout, strategy: facts.strategy, next: usesNext(project) });
  Object.assign(facts, run.facts);
  refusals.push(...run.refusals);
  warnings.push(...run.warnings);
  const others: OtherProgram[] = [];
  for (const name of app.others ?? []) {
    const { restartCommand: _, healthPort: _own, ...same } = app;
    const other = supervisorOf(tools, {
      ...same,
      appName: name,
      portless: app.portless ?? 'named',
      ecosystem: 'keep',
    });
    const found = await other.look({ layout, strategy: facts.strategy, next: false });
    refusals.push(...found.refusals);
    others.push({ name, supervisor: other, ...definedOnly({ entry: found.entry }) });
  }
  const own = ownRuntime(run.entry);
  lookAtState(facts, { app, state, history });
  judgeFreeSpace(facts, app.appPath);
  return {
    app,
    tools: own === undefined ? tools : tools.withFolders([own]),
    supervisor,
    state,
    strategy: strategy ?? 'in-place',
    ...definedOnly({ live }),
    ...(checkout === undefined || facts.liveSha === undefined ? {} : { checkout }),
    releases,
    history,
    ...definedOnly({ entry: run.entry }),
    others,
    project,
    facts,
  };
}

/** The folder of the Node that an entry names for itself: its packages must be built for that, and it is rehearsed with it. */
export function ownRuntime(entry: Pick<Entry, 'interpreter'> | undefined): string | undefined {
  const interpreter = entry?.interpreter;
  return interpreter?.startsWith('/') && basename(interpreter) === 'node' ? dirname(interpreter) : undefined;
}

/** What hinders a deploy in the environment files that the host has for the next version. */
export function envRefusals({ live, history, state }: HostState, run: EnvRun): Problem[] {
  if (live === undefined) return [];
  const note = history.live && readNote(state, history.live.release);
  return judgeHostEnvFiles(live, findEnvFiles(live), note?.envFiles ?? [], run);
}

function gather<T>(refusals: Problem[], work: () => T): T | undefined {
  try {
    return work();
  } catch (error) {
    refusals.push(...problemsOf(error));
    return undefined;
  }
}

async function wrongStrategy(app: AppRequest, layout: Layout, tools: Toolbox): Promise<Problem> {
  const checkout = layout === 'other' ? await enclosingCheckout(tools, app.appPath) : undefined;
  if (checkout !== undefined)
    return {
      message: `app-path ${app.appPath} is a folder inside the checkout ${checkout}.`,
      next: `Give the checkout itself as app-path: ${checkout}. PM2 may run the application in a folder of it.`,
    };
  const found = {
    checkout: 'a git checkout',
    releases: 'a symlink to a release',
    absent: 'not there',
    other: 'a folder without git',
  }[layout];
  return {
    message: `strategy "${app.strategy}" does not fit: ${app.appPath} is ${found}.`,
    next:
      layout === 'other'
        ? `Move it away (mv ${quote(app.appPath)} ${quote(`${app.appPath}.old`)}) and deploy with strategy: releases, or clone the repository there.`
        : 'Use strategy: auto.',
  };
}

async function lookAtGit(
  facts: HostFacts,
  checkout: GitRepository | undefined,
  history: History,
): Promise<void> {
  const there = checkout !== undefined && facts.layout !== 'other' && facts.layout !== 'absent';
  if (facts.git === undefined) {
    const missing = { message: 'git is not found on the server.', next: 'Install it: apt-get install git.' };
    (there ? facts.refusals : facts.deployRefusals).push(missing);
    return;
  }
  if (!isGitSince(facts.git, OLDEST_GIT))
    facts.deployRefusals.push({
      message: `git ${facts.git} on the server is older than ${OLDEST_GIT}, the oldest that a deploy works with.`,
      next: 'Install a newer one: apt-get install git, on old systems from a backports repository.',
    });
  if (!there) return;
  const head = await tryGit(checkout, 'rev-parse', '--verify', 'HEAD^{commit}');
  // The second one is how git said it in 2022.
  if (/dubious ownership|unsafe repository/.test(head.tail)) {
    facts.refusals.push({
      message: `git refuses to work in ${checkout.folder}, because another user owns it.`,
      next: `Connect as its owner, or run once on the server: git config --global --add safe.directory ${quote(checkout.folder)}`,
    });
    return;
  }
  if (head.code !== 0) {
    const revision = readText(join(checkout.folder, 'REVISION'))?.trim();
    if (facts.layout === 'releases' && revision && /^[0-9a-f]{40,64}$/.test(revision))
      facts.liveSha = revision;
    else
      facts.refusals.push({
        message: `The commit of ${checkout.folder} cannot be read.`,
        next: `Run "git -C ${quote(checkout.folder)} status" on the server.`,
      });
    return;
  }
  facts.liveSha = head.stdout.trim();
  facts.liveVerified = history.liveVerified && history.live?.sha === facts.liveSha;
}

/** Looks for what people changed in tracked files, also where git was told not to. */
async function lookAtChanges(
  facts: HostFacts,
  known: { checkout: GitRepository; state: StateFolder; releases: string; history: History },
): Promise<void> {
  facts.dirtyFiles = await changedByPeople({ ...known, facts });
  const hidden = await hiddenChanges(known.checkout);
  if (hidden.length === 0) return;
  const some = hidden.slice(0, 5);
  facts.deployRefusals.push({
    message: `git was told not to look at ${some.join(', ')}, and what lies on the server differs from the commit: a build would silently use the committed values.`,
    next: `Put the server's values into an environment file, or take the file out of git; then run there: git update-index --no-skip-worktree --no-assume-unchanged ${some.map(quote).join(' ')}`,
  });
}

function lookAtState(
  facts: HostFacts,
  known: { app: AppRequest; state: StateFolder; history: History },
): void {
  const { app, state, history } = known;
  const { environment: remembered, database } = readState(state);
  if (database && app.database === 'missing')
    facts.refusals.push(
      emptyConnection(
        'database-url',
        'The last deploy of this application changed a database too. Set the secret, or say skip: database.',
      ),
    );
  if (remembered !== undefined) {
    facts.environment = remembered;
    if (app.environment !== undefined && app.environment !== remembered && !app.adoptEnvironment)
      facts.refusals.push({
        message: `This application was deployed as "${remembered}", and this run says "${app.environment}".`,
        next: 'Check ssh-host and environment. If the server really changed its role, set adopt-environment: true once.',
      });
  }
  if (history.live && history.live.sha === facts.liveSha) facts.liveRelease = history.live.release;
  const arrived = history.arrivals.findLast(({ release }) => release === facts.liveRelease);
  if (arrived?.runId !== undefined) facts.liveRun = arrived.runId;
  const holder = currentHolder(state);
  if (holder)
    facts.lock = {
      holder: {
        runId: holder.runId,
        since: holder.since,
        pid: holder.pid,
        ...definedOnly({ session: holder.session, url: holder.url }),
      },
    };
}
