import { Cancelled, type Failure, type HealthFact } from '../../lib/report.js';
import { askLoopback, unhealthy } from '../host/loopback-health.js';
import type { Restarted, Supervisor } from '../supervisor/supervisor.js';

export interface VerifyOptions extends Restarted {
  supervisor: Pick<Supervisor, 'watch' | 'logWords'>;
  sha: string;
  expectVersion: boolean;
}

/**
 * Proves that the version which should be live is: every check good on loopback, the right commit answering, and the
 * supervisor's own proof that it is the restarted application that answers. Resolves with the last answers.
 */
export async function verifyRestart(options: VerifyOptions): Promise<HealthFact[]> {
  const { supervisor, port, sha, expectVersion, tell } = options;
  const watch = await supervisor.watch(options);
  if (port === undefined) {
    // It answers nobody: that it stays is all that there is to see.
    await watch.prove().finally(() => watch.end());
    return [];
  }
  const health = { ...options.health, deadline: options.health.deadline + watch.ownDelay };
  let asked: Awaited<ReturnType<typeof askLoopback>>;
  try {
    asked = await askLoopback({ port, health, sha, expectVersion, signal: watch.signal, tell });
  } catch (error) {
    const crash = await watch.end();
    throw error instanceof Cancelled && crash !== undefined ? crash : error;
  }
  await watch.end();
  if (!asked.healthy) throw notHealthy(asked.facts, supervisor);
  if (!(await watch.prove())) return asked.facts;
  const { signal } = new AbortController();
  const again = await askLoopback({ port, health, sha, expectVersion, signal, tell });
  if (!again.healthy) throw notHealthy(again.facts, supervisor);
  return again.facts;
}

function notHealthy(facts: readonly HealthFact[], { logWords }: Pick<Supervisor, 'logWords'>): Failure {
  return unhealthy('The restarted application is not healthy on loopback', facts, logWords);
}
