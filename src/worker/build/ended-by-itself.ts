import { problemOf } from '../../lib/report.js';

/** What tools say of a worker of theirs that the kernel or a full heap ended, while they end with 1 themselves. */
const MEMORY_FAULTS =
  /heap out of memory|SIGKILL|SIGABRT|SIGSEGV|SIGBUS|ENOMEM|Cannot allocate memory|ENOSPC/;

/**
 * True where a failed build came to its own end: what it wrote into its caches is whole. After a signal, a fault of the
 * memory or a full disk it may be torn. Pure over the Failure of the command.
 */
export function endedByItself(error: unknown): boolean {
  const { code, message } = problemOf(error);
  return code !== undefined && /^\d+$/.test(code) && Number(code) < 128 && !MEMORY_FAULTS.test(message);
}
