/**
 * Why a text cannot be a whole environment file: a quote that does not end, a line without `=`, a NUL byte.
 * A file that was only half written must not be built into an application. Names no value of it.
 */
export function checkEnvText(text: string): string | undefined {
  if (text.trim() === '') return 'is empty';
  if (text.includes('\0')) return 'holds a NUL byte';
  const lines = text.replace(/^\uFEFF/, '').split(/\r?\n/);
  for (let index = 0; index < lines.length; index++) {
    const line = lines[index]!.trim();
    if (line === '' || line.startsWith('#')) continue;
    const match = /^(?:export\s+)?[\w.-]+(?:\s*=\s*|:\s+)(.*)$/.exec(line);
    if (!match) return `line ${index + 1} is not NAME=value`;
    const opened = index + 1;
    const quote = /^["'`]/.exec(match[1]!)?.[0];
    if (quote === undefined) continue;
    let rest = match[1]!.slice(1);
    while (!endsQuote(rest, quote)) {
      index++;
      if (index >= lines.length) return `the quote that line ${opened} opens is never closed`;
      rest = lines[index]!;
    }
  }
  return undefined;
}

function endsQuote(text: string, quote: string): boolean {
  for (let index = 0; index < text.length; index++) {
    if (text[index] === '\\' && quote === '"') index++;
    else if (text[index] === quote) return true;
  }
  return false;
}
