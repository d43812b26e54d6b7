import type { Log } from '../../lib/log.js';
import { Failure, type Problem } from '../../lib/report.js';
import type { DatabaseAccess } from '../connection/connection.js';
import { jsonField } from '../connection/results.js';
import { retryRead } from '../connection/retry-read.js';
import { type DownText, downName, type PreparedDown, prepareDown } from '../migrations/down-files.js';
import { type DownPlace, type DownPlaces, findDownFile, openDownPlaces } from '../migrations/down-places.js';
import { loadParser } from '../sql/parser.js';
import type { RollbackHistory } from './rollback-decision.js';
import { withoutText } from './rollback-failure.js';
import { ROLLBACK_READ_DEADLINE } from './rollback-send.js';
import { downsQuery } from './rollback-sql.js';

export interface FoundDown extends DownText {
  /** Undefined where there is neither a recorded text nor a file. */
  down?: true;
  /** The file of this checkout, where it is not what was recorded. */
  other?: string;
}

export type ReadyDown = DownText & Pick<PreparedDown, 'statements'>;

/** Where down files lie in the checkout. */
export interface DownsInCheckout extends DownPlaces {
  readonly workingDirectory: string;
}

/** The down text of each version as it was recorded at the deploy, else the file of the checkout. */
export async function findDowns(
  { database, signal }: DatabaseAccess,
  look: RollbackHistory,
  { workingDirectory, ...where }: DownsInCheckout,
  versions: readonly string[],
): Promise<FoundDown[]> {
  const known = new Map(look.migrations.map((migration) => [migration.version, migration]));
  const withText = versions.filter((version) => known.get(version)?.hasDown);
  let texts: Record<string, string> = {};
  if (withText.length > 0) {
    const sending = { deadline: ROLLBACK_READ_DEADLINE, signal };
    const answer = await retryRead(signal, () => database.send(downsQuery(withText), sending));
    texts = jsonField<Record<string, string>>(answer, 'downs') ?? {};
  }
  const recordedAll = versions.every((version) => texts[version] !== undefined);
  const places = (await openDownPlaces(workingDirectory, where).catch(ignoring(recordedAll))) ?? [];
  return versions.map((version) => {
    const name = known.get(version)?.name ?? look.names[version] ?? '';
    const recorded = texts[version];
    const found = findInCheckout(places, `${version}_${name}.sql`, recorded !== undefined);
    const beside = found?.source;
    // Where the checkout has none, the place where it would lie.
    const file =
      found?.file ?? `${where.downDir ?? where.migrationsDir}/${safeName(downName(version, name))}`;
    const source = recorded ?? beside;
    return {
      version,
      name,
      file,
      source: source ?? '',
      ...(source === undefined ? {} : { down: true as const }),
      ...(beside === source ? {} : { unseen: true as const }),
      ...(beside === undefined || beside === source ? {} : { other: beside }),
    };
  });
}

/** The file in the checkout; beside a recorded text it is only a second try, which need not be had. */
function findInCheckout(
  places: readonly DownPlace[],
  migration: string,
  recorded: boolean,
): ReturnType<typeof findDownFile> {
  try {
    return findDownFile(places, migration);
  } catch (error) {
    return ignoring(recorded)(error);
  }
}

function ignoring(needless: boolean): (error: unknown) => undefined {
  return (error) => {
    if (!needless) throw error;
  };
}

/** A name that came from a database, as part of a place that people are told. */
function safeName(name: string): string {
  return name.replaceAll(/[^\p{L}\p{N} ._-]/gu, '_');
}

/** Makes every down file fit for one transaction; all problems of all files at once. */
export async function prepareDowns(log: Log, found: readonly FoundDown[]): Promise<ReadyDown[]> {
  const parse = await loadParser();
  const problems: Problem[] = [];
  const prepared = found.map((down) => {
    const { source, statements, notices, problems: wrong } = prepareDown(down, parse);
    const told = (problem: Problem): Problem => (down.unseen ? withoutText(problem) : problem);
    for (const problem of notices) log({ kind: 'notice', problem: told(problem) });
    problems.push(...wrong.map(told));
    return { ...down, source, statements };
  });
  if (problems.length > 0) throw new Failure(problems);
  return prepared;
}
