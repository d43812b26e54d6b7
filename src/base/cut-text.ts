/**
 * Parts of long texts for messages, cut between words: half a secret would not be known as one when the message is
 * made what may be shown.
 */

/** At most `most` characters from the start. */
export function beginningOf(text: string, most: number): string {
  if (text.length <= most) return text;
  const cut = text.slice(0, most);
  return /\s/.test(text[most]!) ? cut : cut.replace(/\S+$/, '').trimEnd();
}

/** At most `most` characters from the end. */
export function endOf(text: string, most: number): string {
  if (text.length <= most) return text;
  const cut = text.slice(text.length - most);
  return /\s/.test(text[text.length - most - 1]!) ? cut : cut.replace(/^\S+/, '').trimStart();
}
