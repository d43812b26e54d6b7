/**
 * Calls `act` when the signal fires, and at once where it has fired already: a listener that is added then is never
 * called. Returns a function that removes the listener. No other place adds one; a test holds that.
 * `act` may be called before this returns, so it must not rely on what is returned.
 */
export function whenAborted(signal: AbortSignal | undefined, act: () => void): () => void {
  if (!signal) return () => {};
  if (signal.aborted) {
    act();
    return () => {};
  }
  signal.addEventListener('abort', act, { once: true });
  return () => signal.removeEventListener('abort', act);
}
