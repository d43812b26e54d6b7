/** Takes text in chunks of any size, from one stream. */
export interface LineTaker {
  take(text: string): void;
  /** Passes on what has no end yet. More may follow. */
  finish(): void;
}

/** No form of a secret is longer than this, in characters. */
const LONGEST_FORM = 16_000;
/** A line without an end is not waited for longer than this, in characters. */
const LONGEST_LINE = 8 * LONGEST_FORM;

/**
 * Puts chunks of one stream together and passes on whole lines, each cleaned as a whole: a secret could lie across
 * two chunks. Two streams need one each, or half a line of the one is cut open by a line of the other.
 * A line that is too long to wait for is passed on in pieces that cut no secret.
 */
export function wholeLines(clean: (text: string) => string, tell: (text: string) => void): LineTaker {
  let rest = '';
  const pass = (text: string): void => {
    if (text !== '') tell(text);
  };
  return {
    take(text) {
      rest += text;
      const end = rest.lastIndexOf('\n') + 1;
      const lines = rest.slice(0, end);
      rest = rest.slice(end);
      pass(clean(lines));
      if (rest.length <= LONGEST_LINE) return;
      // All but a tail in which a secret may have begun.
      const piece = clean(rest);
      pass(piece.slice(0, -LONGEST_FORM));
      rest = piece.slice(-LONGEST_FORM);
    },
    finish() {
      const text = rest;
      rest = '';
      pass(clean(text));
    },
  };
}
