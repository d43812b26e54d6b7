import { basename } from 'node:path';
import type { Problem } from '../../lib/report.js';
import { shortenList } from '../../lib/shorten-list.js';
import type { Remark } from '../migrations/file-shape.js';

const WORDS: Readonly<Record<Remark['kind'], string>> = {
  'own-transaction':
    'files have a BEGIN and COMMIT of their own around them, which are left out: each is one transaction anyway',
  empty: 'files hold no statement: they are recorded, and nothing is run',
};

/** One line for each kind of remark, however many files it is made of; one alone keeps its place. */
export function sumUpRemarks(remarks: readonly Remark[]): Problem[] {
  return (Object.keys(WORDS) as Remark['kind'][]).flatMap((kind) => {
    const own = remarks.filter((remark) => remark.kind === kind);
    if (own.length <= 1) return own.map(({ problem }) => problem);
    const files = [...new Set(own.map(({ file }) => basename(file)))];
    return [{ message: `${files.length} ${WORDS[kind]} (${shortenList(files, 3)})` }];
  });
}
