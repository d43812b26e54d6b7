/** Longer lines are dropped: no answer of the worker is that long, and what a server sends must not fill our memory. */
const LONGEST_LINE = 4 * 1024 * 1024;

/** Cuts chunks of bytes into lines of text, whatever the chunks' borders; invalid UTF-8 becomes U+FFFD. */
export function lineReader(onLine: (line: string) => void, longest = LONGEST_LINE): (chunk: Buffer) => void {
  const decoder = new TextDecoder('utf-8');
  let parts: string[] = [];
  let length = 0;
  return (chunk) => {
    const pieces = decoder.decode(chunk, { stream: true }).split('\n');
    pieces.forEach((piece, index) => {
      length += piece.length;
      if (length <= longest) parts.push(piece);
      else parts = [];
      if (index === pieces.length - 1) return;
      if (length <= longest) onLine(parts.join('').replace(/\r$/, ''));
      parts = [];
      length = 0;
    });
  };
}
