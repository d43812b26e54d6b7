import { definedOnly } from '../../lib/defined-only.js';
import type { HostState, OtherProgram } from '../host-state/host-state.js';
import type { HealthRequest } from '../protocol.js';
import type { Reporter } from '../run/reporter.js';
import type { FirstStart, Versions } from '../supervisor/supervisor.js';
import { verifyRestart } from './verify.js';

export interface OthersOptions {
  found: Pick<HostState, 'others' | 'state'>;
  sha: string;
  health: HealthRequest;
  reporter: Reporter;
  /** How those are started that do not run yet, by their names. */
  starts?: ReadonlyMap<string, FirstStart> | undefined;
  /** Told of each program right before it is restarted. */
  onRestart?: (program: OtherProgram) => void;
}

const NO_VERSIONS: Versions = {
  to: { texts: [], files: new Set() },
  from: { texts: [], files: new Set() },
};

/**
 * Restarts the other programs of the checkout, in order, and looks at each: it must stay up. They answer nobody, so their
 * supervisor alone judges them. @throws a Failure of the first that does not.
 */
export async function restartOthers(
  { found, sha, health, reporter, starts, onRestart }: OthersOptions,
  programs: readonly OtherProgram[] = found.others,
): Promise<void> {
  for (const program of programs) {
    const { name, supervisor } = program;
    await reporter.step(name, async () => {
      const before = await supervisor.running(undefined);
      onRestart?.(program);
      await supervisor.restart({ state: found.state, ...definedOnly({ start: starts?.get(name) }) });
      await verifyRestart({
        supervisor,
        port: undefined,
        sha,
        health,
        expectVersion: false,
        before,
        versions: NO_VERSIONS,
        tell: reporter.progress,
        warn: reporter.warn,
      });
    });
  }
}
