import type { Problem } from '../../lib/report.js';
import { positionIn } from '../sql/source-text.js';
import { afterToken } from '../sql/sql-lexer.js';

/** How other tools mark the part of a file that undoes it. */
const DOWN: readonly (readonly [tool: string, marker: RegExp])[] = [
  ['dbmate', /^--\s*migrate:down\b/],
  ['goose', /^--\s*\+goose\s+down\b/i],
  ['sql-migrate', /^--\s*\+migrate\s+down\b/i],
];
const ANY = /--\s*(?:migrate:|\+goose\s|\+migrate\s)/i;

/** A file in which another tool keeps what undoes it: all of it would be run, up and down. */
export function sectionOfOtherTool(file: string, source: string): Problem | undefined {
  if (!ANY.test(source)) return undefined;
  for (let index = 0; index < source.length; ) {
    const next = afterToken(source, index);
    const token = source.slice(index, next);
    const tool = DOWN.find(([, marker]) => marker.test(token))?.[0];
    if (tool !== undefined)
      return {
        message: `"${token.trim()}" begins what ${tool} runs to undo the file, and here it would be run with the rest`,
        at: positionIn(file, source, index),
        next: `Move what follows it into ${file.replace(/\.sql$/, '.down.sql')}.`,
      };
    index = next;
  }
  return undefined;
}

const FLYWAY = /^(?:[VU]\d[\d._]*|R)__.+\.sql$/;

/** Files of the folder that another tool would run, and that mean nothing here. */
export function namesOfOtherTool(folder: string, ignored: readonly string[]): Problem | undefined {
  const name = ignored.find((each) => FLYWAY.test(each));
  if (name === undefined) return undefined;
  return {
    message: `${folder}/${name} is named as Flyway has it, and would never be run`,
    at: { file: `${folder}/${name}`, line: 1, column: 1 },
    next: 'Name it <digits>_<name>.sql; what undoes it, <digits>_<name>.down.sql.',
  };
}

/** A folder whose .sql files all lie below it, as Prisma and Drizzle keep them: none of them would be run. */
export function onlyBelow(folder: string, below: readonly string[]): Problem | undefined {
  const [name] = below;
  if (name === undefined) return undefined;
  return {
    message: `${folder} holds its .sql files in folders below it (${name}), as Prisma and Drizzle do, and none of them would be run`,
    at: { file: `${folder}/${name}`, line: 1, column: 1 },
    next: 'Put each into the folder itself, as <digits>_<name>.sql; or set migrations-dir to the folder that holds them.',
  };
}
