import { basename } from 'node:path';
import type { InputName } from '../../inputs/input-sources.js';
import { inputRule } from '../../inputs/input-sources.js';
import { quote } from '../../lib/shell.js';
import type { WorkflowConnection } from './known-names.js';
import type { ProjectFacts } from './project-facts.js';

const WRAPPERS = new Set(['npm', 'pnpm', 'yarn', 'npx', 'bun']);

/** What a plan of this project will refuse or warn of, as far as its files tell, each with the way to mend it. Pure. */
export function expectedRefusals({
  lockFiles,
  packages,
  ecosystem,
  migrations,
  healthRoute,
}: ProjectFacts): string[] {
  const wrapper = ecosystem?.apps.find(({ script }) => WRAPPERS.has(basename(script ?? '')));
  return [
    ...(packages && lockFiles.length === 0
      ? ['There is no lock file: a deploy is refused. Run the install once and commit what it writes.']
      : []),
    ...(lockFiles.length > 1
      ? [
          `There are ${lockFiles.length} lock files (${lockFiles.join(', ')}): keep the one of the package manager in use.`,
        ]
      : []),
    ...(wrapper
      ? [
          `${ecosystem!.file} starts "${wrapper.script}", not the application: it works, with a gap at each deploy. Without a gap: the script itself and exec_mode: "cluster" (docs/server.md#pm2).`,
        ]
      : []),
    ...(migrations
      ? [
          `${migrations.folder} holds ${migrations.count} ${migrations.count === 1 ? 'migration' : 'migrations'}. Where the database has them without a history, the plan says so, with the baseline: line that records them without running them.`,
        ]
      : []),
    ...(healthRoute === false
      ? [
          'No file speaks of /api/health, so health-paths is /. An answer of its own says more: docs/health.md.',
        ]
      : []),
    'Tracked files that were changed on the server refuse a deploy: "git status" there shows them. A lock file that an install rewrote is kept as a patch by itself.',
  ];
}

/** The command that shows in a terminal what a deploy would do: the workflow's values, its secrets by their variables. */
export function planCommand(
  values: ReadonlyMap<InputName, string>,
  connections: readonly WorkflowConnection[],
): string {
  const env = connections.flatMap(({ input }) => {
    const [name] = inputRule(input).env.toSorted((a, b) => a.length - b.length);
    const value = input === 'ssh-private-key' ? '"$(cat path/to/key)"' : "'...'";
    return name === undefined ? [] : [`${name}=${value}`];
  });
  const flags = [...values]
    .filter(([, value]) => value !== '')
    .map(([name, value]) => `--${name} ${quote(value)}`);
  return [...env, `node /path/to/deploy-action/dist/cli.js plan`, ...flags].join(' \\\n    ');
}
