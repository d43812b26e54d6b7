/** The nearest of `words` to a misspelt one, or undefined where none is near (more than 2 edits away). */
export function nearest(word: string, words: readonly string[]): string | undefined {
  let best: string | undefined;
  let distance = 3;
  for (const candidate of words) {
    const edits = editDistance(word.trim().toLowerCase(), candidate);
    if (edits < distance) {
      best = candidate;
      distance = edits;
    }
  }
  return best;
}

function editDistance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, index) => index);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++) {
      next.push(Math.min(row[j]! + 1, next[j - 1]! + 1, row[j - 1]! + (a[i - 1] === b[j - 1] ? 0 : 1)));
    }
    row = next;
  }
  return row[b.length]!;
}
