import type { Redactor } from './redact.js';

/** Takes text in chunks of any size, from one stream. */
export interface LineTaker {
  take(text: string): void;
  /** Passes on what has no end yet, but nothing in which a secret may have begun. More may follow. */
  flush(): void;
  /** Passes on all that is left. */
  finish(): void;
}

/** A line without an end is not waited for longer than this, in characters. */
const LONGEST_LINE = 128_000;
/** Nothing is waited for longer than this. No form of a secret is that long, so it is a flood of blanks, say, behind what began like one. */
const LONGEST_WAIT = 1_000_000;

/** Passes text on as it is: for what is put together to be read by us, and shown to nobody. */
export const AS_IT_IS: Redactor = {
  redact: (text) => text,
  settle: (text) => ({ shown: text, rest: '', before: '' }),
};

/**
 * Puts chunks of one stream together and passes on whole lines as they may be shown: a secret could lie across two
 * chunks, or across two lines. Two streams need one each, or half a line of the one is cut open by a line of the other.
 * A line that is too long to wait for is passed on in pieces that cut no secret.
 */
export function wholeLines({ redact, settle }: Redactor, tell: (text: string) => void): LineTaker {
  let rest = '';
  let before = '';
  const pass = (text: string): void => {
    if (text !== '') tell(text);
  };
  const halfLine = (): void => {
    const settled = settle(rest, 'characters', before);
    ({ rest, before } = settled);
    pass(settled.shown);
  };
  const finish = (): void => {
    const text = redact(rest, before);
    rest = '';
    before = '';
    pass(text);
  };
  return {
    take(text) {
      rest += text;
      const end = text.includes('\n') ? rest.lastIndexOf('\n') + 1 : 0;
      if (end > 0) {
        const settled = settle(rest.slice(0, end), 'lines', before);
        rest = settled.rest + rest.slice(end);
        before = settled.before;
        pass(settled.shown);
      }
      if (rest.length > LONGEST_LINE) halfLine();
      if (rest.length > LONGEST_WAIT) finish();
    },
    flush() {
      // Whole lines that are still here wait for the end of a secret.
      if (!rest.includes('\n')) halfLine();
    },
    finish,
  };
}
