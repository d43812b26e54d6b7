import { readdirSync } from 'node:fs';
import { resolve } from 'node:path';
import type { InputContext, Run } from './settings.js';

/** Looks up what the settings parser needs to know of the world. */
export function inputContext(run: Run, workspace: string, terminal: boolean): InputContext {
  return {
    run,
    workspace,
    terminal,
    holdsMigrations: (folder) => holdsMigrations(resolve(workspace, folder)),
  };
}

function holdsMigrations(folder: string): boolean {
  try {
    return readdirSync(folder).some((name) => name.endsWith('.sql'));
  } catch {
    // No such folder: nothing points to a database. A folder that cannot be read is complained about by migrate.
    return false;
  }
}
