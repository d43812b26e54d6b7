import { relative, resolve, sep } from 'node:path';

/** Where files of a problem lie, for links and annotations. */
export interface FilePlaces {
  /** The top of the checkout; absolute. */
  readonly workspace: string;
  /** The input working-directory: from the workspace, or absolute. */
  readonly project: string;
}

/**
 * A path from the top of the checkout, as GitHub takes it; a problem's file is told from the project's folder. Begins
 * with `..` where the file lies outside of the checkout.
 */
export function fromWorkspace(file: string, { workspace, project }: FilePlaces): string {
  return relative(workspace, resolve(workspace, project, file))
    .split(sep)
    .join('/');
}
