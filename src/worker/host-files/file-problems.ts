import { type Problem, problemsOf } from '../../lib/report.js';
import type { HostState } from '../host-state/host-state.js';
import type { DeployRequest } from '../protocol.js';
import { withTidyPaths } from './paths.js';
import { sharedProblems } from './shared-paths.js';
import { untrackedProblems } from './untracked-files.js';

/** What a deploy is asked about the host's own files. */
export type AboutFiles = Partial<
  Pick<DeployRequest, 'sharedPaths' | 'buildOutput' | 'envFilePath' | 'envFile'>
>;

/**
 * Why the files of the host would not come through a deploy: looked at by a plan, before a build, and again right before
 * the cutover, because people and the application go on writing.
 */
export async function hostProblems(found: HostState, request: AboutFiles): Promise<Problem[]> {
  try {
    const tidy = withTidyPaths(request);
    return [...sharedProblems(found, tidy), ...(await untrackedProblems(found, tidy))];
  } catch (error) {
    return problemsOf(error);
  }
}
