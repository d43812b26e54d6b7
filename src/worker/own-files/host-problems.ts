import { type Problem, problemsOf } from '../../base/report.js';
import type { DeployRequest } from '../protocol.js';
import type { Survey } from '../survey/survey.js';
import { foreignProblems } from './foreign.js';
import { withTidyPaths } from './paths.js';
import { sharedProblems } from './shared-paths.js';

/** What a deploy is asked about the host's own files. */
export type AboutFiles = Partial<
  Pick<DeployRequest, 'sharedPaths' | 'buildOutput' | 'envFilePath' | 'envFile'>
>;

/**
 * Why the files of the host would not come through a deploy: looked at by a plan, before a build, and again right before
 * the cutover, because people and the application go on writing.
 */
export async function hostProblems(found: Survey, request: AboutFiles): Promise<Problem[]> {
  try {
    const tidy = withTidyPaths(request);
    return [...sharedProblems(found, tidy), ...(await foreignProblems(found, tidy))];
  } catch (error) {
    return problemsOf(error);
  }
}
