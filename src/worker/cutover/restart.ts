import { withTurn } from '../host/lock.js';
import type { Supervisor } from '../supervisor/supervisor.js';
import type { Teller } from '../teller.js';

export interface TurnOptions {
  supervisor: Pick<Supervisor, 'turnFile'>;
  /** Milliseconds. */
  lockWait: number;
  teller: Pick<Teller, 'progress'>;
  signal: AbortSignal;
}

/** Does `work`, which restarts the application, when no other application of this supervisor is being switched. */
export async function inTurn<T>(options: TurnOptions, work: () => Promise<T>): Promise<T> {
  const { supervisor, lockWait, teller, signal } = options;
  const file = supervisor.turnFile();
  if (file === undefined) return work();
  return withTurn(
    { file, wait: lockWait, signal },
    () => teller.progress('waiting for another application of this server to be switched'),
    work,
  );
}

/**
 * Lets the supervisor remember what it runs now. Where it cannot, that is a warning, with what to do about it: the
 * version itself is verified.
 */
export async function saveOrWarn(
  { supervisor }: { supervisor: Pick<Supervisor, 'save'> },
  teller: Pick<Teller, 'warn'>,
  next = (command: string): string => `Run "${command}" on the server.`,
): Promise<void> {
  const unsaved = await supervisor.save();
  if (unsaved) teller.warn({ message: unsaved.message, next: next(unsaved.command) });
}
