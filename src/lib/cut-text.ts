/** Parts of long texts for messages, cut between words: half a secret would not be found when the message is redacted. */

/** The start of a text: at most `most` characters, whole words. */
export function textStart(text: string, most: number): string {
  if (text.length <= most) return text;
  const cut = text.slice(0, most);
  return /\s/.test(text[most]!) ? cut : cut.replace(/\S+$/, '').trimEnd();
}

/** The end of a text: at most `most` characters, whole words. */
export function textEnd(text: string, most: number): string {
  if (text.length <= most) return text;
  const cut = text.slice(text.length - most);
  return /\s/.test(text[text.length - most - 1]!) ? cut : cut.replace(/^\S+/, '').trimStart();
}
