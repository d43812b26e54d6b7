/** Items of a list input: one per line or comma-separated; commas inside double quotes do not count. */
export function splitList(text: string, { parentheses = false } = {}): string[] {
  const items: string[] = [];
  let item = '';
  let quoted = false;
  let depth = 0;
  for (const character of text) {
    if (character === '"') quoted = !quoted;
    if (parentheses && !quoted)
      depth = Math.max(0, depth + (character === '(' ? 1 : character === ')' ? -1 : 0));
    if (!quoted && depth === 0 && (character === ',' || character === '\n' || character === '\r')) {
      items.push(item);
      item = '';
    } else item += character;
  }
  items.push(item);
  return items.map((entry) => entry.trim()).filter((entry) => entry !== '');
}

/** Without one pair of equal quotes around it: people quote paths also where YAML or the list needs none. */
export function withoutQuotes(path: string): string {
  return /^(["'`])(.*)\1$/s.exec(path)?.[2] ?? path;
}
