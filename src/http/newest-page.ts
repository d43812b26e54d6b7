import { pause } from '../lib/retry.js';
import type { Ask } from './check.js';
import type { Page } from './find-page.js';
import { isLasting } from './looking.js';
import { NoAnswer } from './request.js';

/** The page that the check of its path saw last, for the check of its scripts and styles. */
export interface NewestPage {
  put(seen: Page | NoAnswer): void;
  /**
   * The newest page, else the one that is seen next, within the time of a request; undefined where there is none.
   * @throws NoAnswer where the page cannot be had for long.
   */
  next(ask: Ask): Promise<Page | undefined>;
}

/** Holds no page yet. */
export function newestPage(): NewestPage {
  let current: Page | NoAnswer | undefined;
  let waiting: (() => void)[] = [];
  const read = (): Page | undefined => {
    if (!(current instanceof NoAnswer)) return current;
    if (isLasting(current)) throw current;
    return undefined;
  };
  return {
    put(seen) {
      current = seen;
      for (const go of waiting) go();
      waiting = [];
    },
    async next(ask) {
      const known = read();
      if (known !== undefined) return known;
      const seen = new Promise<void>((resolve) => waiting.push(resolve));
      await Promise.race([seen, pause(ask.timeout(), ask.signal)]);
      return read();
    },
  };
}
