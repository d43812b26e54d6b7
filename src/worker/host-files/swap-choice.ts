import { basename } from 'node:path';
import { isInstalled, USUAL_OUTPUT } from '../../lib/build-output-names.js';
import { isInside } from '../../lib/paths.js';
import type { Problem } from '../../lib/report.js';
import { shortenList } from '../../lib/shorten-list.js';
import { classifyPath, isOfHost, isOutput } from './classify.js';
import { holdsAny, isWithinAny } from './paths.js';

/** How a path that the build made lies in the live checkout. `untouched`: as the last deploy left it there. */
export type InLive = 'absent' | 'same' | 'untouched' | 'folders' | 'differs';

export interface SwapQuestion {
  /** What install and build made: what git does not track in the stage, whole folders as one path. */
  made: readonly string[];
  /** `build-output`; empty: it is to be found. */
  named: readonly string[];
  shared: readonly string[];
  /** Environment files, which the host brought. */
  envFiles: readonly string[];
  /** Those of the shared paths that both versions reach through a symlink: a folder around them may change place. */
  linked: readonly string[];
  inLive(path: string): InLive;
  /** What lies in a folder of the stage, as paths from the root of the application. */
  inside(folder: string): string[];
}

export interface SwapChoice {
  /** What changes place at the cutover. */
  paths: string[];
  /** What lies in the live checkout already, and may be data of the host. */
  inTheWay: string[];
  /** What the live version has, what was made again, and what build-output does not name. */
  leftOut: string[];
}

/**
 * What changes place with the live checkout. A build also touches what is not its own: it opens a database, makes a
 * folder for uploads. So only what is named, what builds are known to make, what a deploy of ours made and nobody
 * wrote to since, and what is not there yet takes a place; what else is there already stands in the way.
 */
export function chooseSwaps(question: SwapQuestion): SwapChoice {
  const { made, named, shared, envFiles, linked, inLive, inside } = question;
  const choice: SwapChoice = { paths: [], inTheWay: [], leftOut: [] };
  const staying = [...shared, ...envFiles].filter((path) => !linked.includes(path));
  const consider = (path: string, mayReplace: boolean): void => {
    const owner = classifyPath(path, { sharedPaths: shared, envFiles });
    if (isOfHost(owner)) return;
    const look = (): InLive => (mayReplace || isOutput(owner) ? 'untouched' : inLive(path));
    const found = holdsAny(path, staying) ? 'folders' : look();
    if (found === 'absent' || found === 'untouched') choice.paths.push(path);
    else if (found === 'folders') for (const item of inside(path)) consider(item, mayReplace);
    else if (found === 'differs') choice.inTheWay.push(path);
  };
  for (const path of made) {
    if (named.length === 0 || isInstalled(path) || isWithinAny(path, named)) consider(path, named.length > 0);
    else if (holdsAny(path, named)) {
      for (const item of named) if (isInside(item, path)) consider(item, true);
    } else if (USUAL_OUTPUT.includes(basename(path)) && inLive(path) !== 'absent') choice.leftOut.push(path);
  }
  return choice;
}

/** What stands against a choice, each with the line to write. */
export function choiceProblems(choice: SwapChoice, named: readonly string[]): Problem[] {
  const own = (paths: readonly string[]): string[] => paths.filter((path) => !isInstalled(path));
  const { paths, inTheWay, leftOut } = choice;
  const problems: Problem[] = [];
  if (inTheWay.length > 0)
    problems.push({
      message: `The build made ${shortenList(inTheWay)}, which lies in the live checkout already with other content, and not from a deploy.`,
      next: `If it belongs to the server (uploads, a database), name it in shared-paths. If the build makes it, name in build-output all that it makes: ${own([...paths, ...inTheWay]).join(', ')}.`,
    });
  if (leftOut.length > 0)
    problems.push({
      message: `The build made ${shortenList(leftOut)}, which build-output does not name: that of the live version would stay in its place.`,
      next: `Name all that the build makes: ${[...named, ...own(leftOut)].join(', ')}.`,
    });
  return problems;
}
