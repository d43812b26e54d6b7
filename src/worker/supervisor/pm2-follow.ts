import { definedOnly } from '../../lib/defined-only.js';
import { Failure, problemsOf } from '../../lib/report.js';
import { shortenList } from '../../lib/shorten-list.js';
import type { Toolbox } from '../host/toolbox.js';
import type { AppRequest } from '../protocol.js';
import { currentLink } from '../state/layout.js';
import { entryOfRaw, rawEntries } from './pm2-client.js';
import type { Config } from './pm2-config.js';
import { type EcosystemApplication, findApplication } from './pm2-ecosystem.js';
import { declaredValues, storedValues } from './pm2-entry-values.js';
import { fromEcosystem } from './pm2-first-start.js';
import { type Declared, decideFollowing, type FollowingQuestion } from './pm2-following.js';
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
  const link = currentLink(app.appPath);
  const started = (from: string, config: Config): FirstStart =>
    fromEcosystem(config, { tools, stage: from, link }, from === folder ? reporter : MUTE);
  const declared = ({ file, config, reads }: EcosystemApplication, from: string): Declared => ({
    file,
    config,
    values: declaredValues(config, started(from, config).entry),
    reads,
  });
  const raw = await rawEntries(tools, appName);
  const entry = entryOfRaw(raw, appName);
  if (entry === undefined) return undefined;
  // Its folder as it was found: PM2 may know it by a symlink of the host.
  const { cwd, script, args } = live.entry;
  const stored = { values: storedValues(raw, { ...entry, cwd, script, args }), env: entry.env };
  const found = await readable(() => findApplication(tools, live.folder, appName));
  let question: FollowingQuestion;
  let next: EcosystemApplication | undefined;
  try {
    next = await findApplication(tools, folder, appName, found?.file);
    question = {
      mode,
      appName,
      environment,
      stored,
      live: found && (await readable(async () => declared(found, live.folder))),
      next: next && declared(next, folder),
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
  const { config, entry: will } = started(folder, { ...next.config, env });
  return {
    config: { ...config, name: appName },
    entry: { ...will, env, instances: entry.instances },
    how,
    words: `the PM2 entry follows ${next.file}: ${shortenList(changed)}${
      how === 'reload' ? '' : ' (deleted and started anew: a gap of one start)'
    }`,
  };
}

/** What lies in the live version may be anything: what cannot be read there says nothing. */
async function readable<T>(work: () => Promise<T>): Promise<T | undefined> {
  return work().catch(() => undefined);
}
