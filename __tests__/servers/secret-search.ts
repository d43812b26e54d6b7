/** Looks for secrets in all that a run leaves behind, in the forms in which they turn up by accident. */
import { readdirSync, readFileSync } from 'node:fs';
import { join, relative } from 'node:path';

/** Texts shorter than this say nothing: they turn up by chance. */
const SHORTEST = 8;

/**
 * Every form of a value that is searched for: raw, URL-decoded and encoded, JSON, hex, base64 in three alignments,
 * backwards, and each of its lines. Written apart from the program's own list on purpose.
 */
function searchForms(value: string): Map<string, string> {
  const forms = new Map<string, string>();
  const add = (kind: string, text: string): void => {
    if (text.length >= SHORTEST && !/^-----(BEGIN|END) /.test(text) && !forms.has(text))
      forms.set(text, kind);
  };
  for (const line of [value, ...value.split(/\r?\n/)]) {
    const text = line.trim();
    if (text.length < SHORTEST || text.startsWith('-----')) continue;
    add('raw', text);
    add('backwards', [...text].reverse().join(''));
    add('URI', encodeURIComponent(text));
    add('URI twice', encodeURIComponent(encodeURIComponent(text)));
    add('JSON', JSON.stringify(text).slice(1, -1));
    add('JSON twice', JSON.stringify(JSON.stringify(text).slice(1, -1)).slice(1, -1));
    try {
      add('decoded', decodeURIComponent(text));
    } catch {
      // Holds a bare percent sign.
    }
    const bytes = Buffer.from(text);
    add('hex', bytes.toString('hex'));
    add('HEX', bytes.toString('hex').toUpperCase());
    for (const shift of [0, 1, 2]) {
      const padded = Buffer.concat([Buffer.alloc(shift), bytes]);
      // Without the characters at both ends that depend on what stands beside the value.
      const whole = padded.subarray(0, padded.length - (padded.length % 3));
      const core = whole.toString('base64').slice(shift === 0 ? 0 : 4);
      add(`base64, shifted by ${shift}`, core);
      add(`base64url, shifted by ${shift}`, core.replaceAll('+', '-').replaceAll('/', '_'));
    }
  }
  return forms;
}

export interface Hit {
  secret: string;
  form: string;
  where: string;
  /** What stands around it. */
  near: string;
}

export interface Search {
  /** All places where any form of any secret stands in the text; one per form. */
  in(text: string, where: string): Hit[];
}

/** Makes a search for secrets by name. */
export function searchFor(secrets: Readonly<Record<string, string>>): Search {
  const wanted = Object.entries(secrets).map(([name, value]) => ({ name, forms: searchForms(value) }));
  return {
    in(text, where) {
      const hits: Hit[] = [];
      for (const { name, forms } of wanted)
        for (const [form, kind] of forms) {
          const at = text.indexOf(form);
          if (at >= 0)
            hits.push({ secret: name, form: kind, where, near: text.slice(Math.max(0, at - 60), at + 60) });
        }
      return hits;
    },
  };
}

/** Every file below a folder with its text, byte for byte; without what git and package managers keep. */
export function filesBelow(root: string, folder = root): { path: string; text: string }[] {
  return readdirSync(folder, { withFileTypes: true }).flatMap((item) => {
    const path = join(folder, item.name);
    if (item.isDirectory()) return item.name === 'node_modules' ? [] : filesBelow(root, path);
    if (!item.isFile()) return [];
    return [{ path: relative(root, path), text: readFileSync(path, 'latin1') }];
  });
}

/**
 * Notes the arguments of every program that this process starts or that runs in the sandbox, as `ps` would show
 * them, about 50 times a second. Most programs of a deploy live longer than that.
 */
export function watchArguments(sandbox: string): { stop(): string[] } {
  const seen = new Set<string>();
  const mine = new Map<number, boolean>();
  const look = (): void => {
    for (const entry of readdirSync('/proc')) {
      const pid = Number(entry);
      if (!Number.isInteger(pid) || pid === process.pid) continue;
      try {
        if (!mine.get(pid)) mine.set(pid, isOurs(pid, sandbox));
        if (mine.get(pid)) seen.add(readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' '));
      } catch {
        // It has ended.
      }
    }
  };
  const timer = setInterval(look, 20);
  return {
    stop() {
      clearInterval(timer);
      return [...seen];
    },
  };
}

function isOurs(pid: number, sandbox: string): boolean {
  if (readFileSync(`/proc/${pid}/environ`, 'utf8').includes(`MUVA_SANDBOX=${sandbox}`)) return true;
  for (let parent = pid; parent > 1; ) {
    const stat = readFileSync(`/proc/${parent}/stat`, 'utf8');
    parent = Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[1]);
    if (parent === process.pid) return true;
  }
  return false;
}
