import { definedOnly } from '../../lib/defined-only.js';
import { Failure, type Problem, problemsOf } from '../../lib/report.js';
import { shortenList } from '../../lib/shorten-list.js';
import type { Toolbox } from '../host/toolbox.js';
import type { AppRequest } from '../protocol.js';
import { currentLink } from '../state/layout.js';
import { entryOfRaw, type Pm2Entry, rawEntries } from './pm2-client.js';
import { type EcosystemApplication, ecosystemFiles, findApplication } from './pm2-ecosystem.js';
import { declaredValues, storedValues } from './pm2-entry-values.js';
import { fromEcosystem } from './pm2-first-start.js';
import { type Declared, decideFollowing, type FollowingQuestion, judgeStanding } from './pm2-following.js';
import type { EntryChange, FirstStart, LiveApplication, NewBuild } from './supervisor.js';

const MUTE = { warn: () => {} };

/** Decides whether PM2's entry follows the ecosystem file of a new build, and how; undefined where it stays as it is. */
export async function followEcosystem(
  tools: Toolbox,
  app: AppRequest,
  { folder, reporter }: Pick<NewBuild, 'folder' | 'reporter'>,
  live: LiveApplication,
): Promise<EntryChange | undefined> {
  const { appName, environment, ecosystem: mode = 'auto' } = app;
  if (mode === 'keep') return undefined;
  const place = { tools, stage: folder, link: currentLink(app.appPath) };
  const running = await runningEntry(tools, appName, live);
  if (running === undefined) return undefined;
  const { entry, stored } = running;
  const was = await declaredLive(tools, app, live);
  let question: FollowingQuestion;
  let next: EcosystemApplication | undefined;
  try {
    next = await findApplication(tools, folder, appName, was?.file);
    question = {
      mode,
      appName,
      environment,
      stored,
      live: was,
      next: next && declaredBy(next, fromEcosystem(next.config, place, reporter)),
    };
  } catch (error) {
    if (mode === 'follow') throw error;
    const [problem] = problemsOf(error);
    reporter.warn({
      message: `The commit's ecosystem file cannot be read, so the PM2 entry stays as it is: ${problem!.message}`,
      ...definedOnly({ next: problem!.next }),
    });
    return undefined;
  }
  const decided = decideFollowing(question);
  if (decided.kind === 'keep' && decided.problem !== undefined) reporter.warn(decided.problem);
  if (decided.kind !== 'follow' || next === undefined) return undefined;
  const [fault] = next.faults;
  if (fault !== undefined) {
    const problem = { message: `PM2 does not take ${next.file}: ${fault}.`, next: 'Correct the file.' };
    if (mode === 'follow') throw new Failure(problem);
    reporter.warn({ ...problem, message: `${problem.message} The PM2 entry stays as it is.` });
    return undefined;
  }
  const { how, changed, env } = decided;
  const { config, entry: will } = fromEcosystem({ ...next.config, env }, place, MUTE);
  return {
    config: { ...config, name: appName },
    entry: { ...will, env, instances: entry.instances },
    how,
    words: `the PM2 entry follows ${next.file}: ${shortenList(changed)}${
      how === 'reload' ? '' : ' (deleted and started anew: a gap of one start)'
    }`,
  };
}

/** What stands against that the entry follows the commits to come; undefined where nothing is known to. */
export async function entryStanding(
  tools: Toolbox,
  app: AppRequest,
  live: LiveApplication,
): Promise<Problem | undefined> {
  const { appName, environment, ecosystem = 'auto' } = app;
  const [file] = ecosystemFiles(live.folder);
  if (ecosystem !== 'auto' || file === undefined) return undefined;
  const running = await runningEntry(tools, appName, live);
  return (
    running && judgeStanding(appName, file, await declaredLive(tools, app, live), running.stored, environment)
  );
}

async function runningEntry(
  tools: Toolbox,
  appName: string,
  live: LiveApplication,
): Promise<{ entry: Pm2Entry; stored: FollowingQuestion['stored'] } | undefined> {
  const raw = await rawEntries(tools, appName);
  const entry = entryOfRaw(raw, appName);
  if (entry === undefined) return undefined;
  // Its folder as it was found: PM2 may know it by a symlink of the host.
  const { cwd, script, args } = live.entry;
  return {
    entry,
    stored: { values: storedValues(raw, { ...entry, cwd, script, args }), env: entry.env },
  };
}

/** What lies in the live version may be anything: what cannot be read there says nothing. */
async function declaredLive(
  tools: Toolbox,
  { appName, appPath }: AppRequest,
  { folder }: LiveApplication,
): Promise<Declared | undefined> {
  try {
    const found = await findApplication(tools, folder, appName);
    const place = { tools, stage: folder, link: currentLink(appPath) };
    return found && declaredBy(found, fromEcosystem(found.config, place, MUTE));
  } catch {
    return undefined;
  }
}

/** With the paths as they are once it is live: `__dirname` in the file is the folder in which it was read. */
function declaredBy(
  { file, config: read, reads }: EcosystemApplication,
  { config: placed, entry }: FirstStart,
): Declared {
  const config = Object.fromEntries(Object.keys(read).map((key) => [key, placed[key]]));
  return { file, config, values: declaredValues(config, entry), reads };
}
