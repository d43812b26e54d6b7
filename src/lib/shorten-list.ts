/** Names in a message: all of them where they are few, else the first ones and how many more there are. */
export function shortenList(names: readonly string[], most = 5): string {
  const more = names.length > most ? ` and ${names.length - most} more` : '';
  return `${names.slice(0, most).join(', ')}${more}`;
}
