import type { Redactor } from './redact.js';

/** Takes the text of one stream in chunks of any size. */
export interface LineTaker {
  take(text: string): void;
  /** Passes on what has no end yet, but nothing in which a secret may have begun. More may follow. */
  flush(): void;
  /** Passes on all that is left. */
  finish(): void;
}

/** Characters: the end of a longer line is not waited for. */
const LONGEST_LINE = 128_000;
/** Characters: nothing longer is held back. No form of a secret is that long; blanks without end behind the beginning of one could be. */
const LONGEST_WAIT = 1_000_000;

/** Redacts nothing: for lines that the program reads itself and that are shown to nobody. */
export const NO_REDACTION: Redactor = {
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
