import { holdPm2Lock } from '../host/lock.js';
import type { Reporter } from '../run/reporter.js';
import type { Supervisor } from '../supervisor/supervisor.js';

export interface Pm2LockOptions {
  supervisor: Pick<Supervisor, 'turnFile'>;
  /** Milliseconds. */
  lockWait: number;
  reporter: Pick<Reporter, 'progress'>;
  signal: AbortSignal;
}

/** Does `work`, which restarts the application, when no other application of this supervisor is being switched. */
export async function withPm2Lock<T>(options: Pm2LockOptions, work: () => Promise<T>): Promise<T> {
  const { supervisor, lockWait, reporter, signal } = options;
  const file = supervisor.turnFile();
  if (file === undefined) return work();
  return holdPm2Lock(
    { file, wait: lockWait, signal },
    () => reporter.progress('waiting for another application of this server to be switched'),
    work,
  );
}

/**
 * Lets the supervisor remember what it runs now. Where it cannot, that is a warning, with what to do about it: the
 * version itself is verified.
 */
export async function saveOrWarn(
  { supervisor }: { supervisor: Pick<Supervisor, 'save'> },
  reporter: Pick<Reporter, 'warn'>,
  next = (command: string): string => `Run "${command}" on the server.`,
): Promise<void> {
  const unsaved = await supervisor.save();
  if (unsaved) reporter.warn({ message: unsaved.message, next: next(unsaved.command) });
}
