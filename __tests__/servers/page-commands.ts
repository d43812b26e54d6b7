import { readFileSync } from 'node:fs';

/** The commands of these programs that a page shows, in its order. */
export function commandsOf(page: string, programs: readonly string[]): string[] {
  const blocks = [...readFileSync(page, 'utf8').matchAll(/^```sh\n([\s\S]*?)^```/gm)];
  return blocks
    .flatMap(([, code]) => code!.trim().split('\n'))
    .filter((line) => programs.includes(line.split(' ')[0]!));
}
