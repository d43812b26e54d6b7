/** Control, bidirectional and zero-width characters: invisible, and able to make one name look like another. */
const INVISIBLE = /[\p{Cc}\p{Cf}\u2028\u2029]/u;

/** The first invisible character of a text as `U+202E`, or undefined. */
export function invisibleCharacter(text: string): string | undefined {
  const match = INVISIBLE.exec(text);
  return match ? codePoint(match[0]) : undefined;
}

/** A character as `U+202E`. */
export function codePoint(character: string): string {
  return `U+${character.codePointAt(0)!.toString(16).toUpperCase().padStart(4, '0')}`;
}
