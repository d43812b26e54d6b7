import type { RunReader } from '../lint/run-statements.js';
import type { FileShape } from '../migrations/file-shape.js';
import { blank } from '../sql/source-text.js';
import { whyNotRun } from './not-run.js';

/** A message that makes the ground; `alone`: one statement that no transaction can hold. */
export interface GroundMessage {
  text: string;
  alone: boolean;
}

/** The messages by which a whole file is run, each committed for itself; what is not run on a scratch database is left out. */
export function groundMessages(shape: FileShape, reader: RunReader): GroundMessage[] {
  const all = shape.statements ?? [];
  const left = all.filter((statement) => whyNotRun(reader.read(statement, shape.source)) !== undefined);
  const source = left.reduce((text, { from, to }) => blank(text, from, to), shape.source);
  if (shape.mode !== 'outside') return [{ text: `begin;\n${source}\n;commit`, alone: false }];
  return shape.segments.flatMap(({ alone, statements }) => {
    const kept = statements.filter((statement) => !left.includes(statement));
    if (kept.length === 0) return [];
    const text = kept.map(({ from, to }) => source.slice(from, to)).join(';\n');
    return [{ text: alone ? text : `begin;\n${text}\n;commit`, alone }];
  });
}
