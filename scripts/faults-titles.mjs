// Which tests belong to which row of the fault table, read from titles and from the sources of the tests.
import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, normalize } from 'node:path';

const NUMBERS = /\brows? (\d+(?:(?:-|, | and )\d+)*)/g;

/**
 * Row numbers in a title: `row 26: ...`, `rows 1-4: ...`, `rows 85, 86 and 93: ...`, `row 17: ..., row 13: ...`,
 * `PostgreSQL 17: row 16: ...`.
 */
export function rowsOf(title) {
  if (!/(^|: )rows? \d/.test(title)) return [];
  const numbers = [...title.matchAll(NUMBERS)].flatMap(([, list]) =>
    list.split(/, | and /).flatMap((part) => {
      const [from, to = from] = part.split('-').map(Number);
      return Array.from({ length: to - from + 1 }, (_, index) => from + index);
    }),
  );
  return [...new Set(numbers)];
}

/** Row number -> the files of __tests__ that hold a title with it, sorted. */
export function filesByRow() {
  const found = new Map();
  for (const [path, source] of testSources()) {
    // A title is a string of its own; a comment or a message in the middle of a line is none.
    for (const [, title] of source.matchAll(/['"`](?:[^'"`\n]*: )?(rows? \d[^\n]*)/g))
      for (const number of rowsOf(title)) {
        if (!found.has(number)) found.set(number, new Set());
        found.get(number).add(path);
      }
  }
  return new Map([...found].map(([number, paths]) => [number, [...paths].sort()]));
}

/** Test files that run any row: with titles of their own, or of a table of cases that they import. */
export function testFilesWithRows() {
  const sources = new Map(testSources());
  const holding = new Set([...filesByRow().values()].flat());
  return [...sources]
    .filter(([path, source]) => path.endsWith('.test.ts') && (holding.has(path) || imports(path, source)))
    .map(([path]) => path)
    .sort();

  function imports(path, source) {
    return [...source.matchAll(/from '(\.[^']+)\.js'/g)].some(([, module]) =>
      holding.has(normalize(join(dirname(path), `${module}.ts`))),
    );
  }
}

function testSources() {
  return readdirSync('__tests__', { recursive: true })
    .map((file) => join('__tests__', String(file)))
    .filter((path) => path.endsWith('.ts'))
    .map((path) => [path, readFileSync(path, 'utf8')]);
}
