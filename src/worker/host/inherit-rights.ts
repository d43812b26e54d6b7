import { chmodSync, type Dirent, lchownSync, lstatSync, readdirSync, type Stats } from 'node:fs';
import { join } from 'node:path';
import { groupName } from './owner.js';
import { call, type Toolbox } from './toolbox.js';

/**
 * What a build made is moved to where its predecessor was, and a rename brings no rights along: the group of a setgid
 * folder and the access list that a web server reads by would be gone.
 */

/** An entry of an access list that names somebody, with the rights as `setfacl` takes them for files and folders. */
interface Named {
  /** `user:33`, `group:33`. */
  who: string;
  rights: string;
}

/** What an access list in getfacl's words gives to whom it names: `default` entries are for what is made inside. Pure. */
export function namedIn(list: string): { access: Named[]; inside: Named[] } {
  const named = [...list.matchAll(/^(default:)?((?:user|group):[^:\s]+):([rwx-]{3})/gm)].map(
    ([, inside, who, rights]) => ({
      inside: inside !== undefined,
      // To enter is meant for folders, and for what is a program anyway.
      entry: { who: who!, rights: rights!.replaceAll('-', '').replace('x', 'X') },
    }),
  );
  return {
    access: named.filter(({ inside }) => !inside).map(({ entry }) => entry),
    inside: named.filter(({ inside }) => inside).map(({ entry }) => entry),
  };
}

/**
 * Gives a file or folder, with all in it, the group of the one that it will replace, and those who are named in its access
 * list. What shuts its own group out is opened to nobody. Resolves to what could not be given, in words.
 */
export async function inheritRights(tools: Toolbox, from: string, to: string): Promise<string[]> {
  const [was, is] = [lstatSync(from), lstatSync(to)];
  if (was.isSymbolicLink() || was.isDirectory() !== is.isDirectory()) return [];
  const lost = takeGroup(to, was, is);
  const [list, own] = [await listOf(tools, from), await listOf(tools, to)];
  if (list === own) return lost;
  const { access, inside } = namedIn(list);
  if (access.length + inside.length === 0) return lost;
  return (await takeNamed(tools, to, access, inside)) ? lost : [...lost, 'its access list'];
}

function takeGroup(to: string, was: Stats, is: Stats): string[] {
  const setgid = was.isDirectory() && (was.mode & 0o2000) !== 0;
  if (was.gid === is.gid && (!setgid || (is.mode & 0o2000) !== 0)) return [];
  try {
    for (const { path, stats } of entriesBelow(to)) {
      if (stats.gid !== was.gid) lchownSync(path, stats.uid, was.gid);
      if (setgid && stats.isDirectory()) chmodSync(path, (stats.mode & 0o7777) | 0o2000);
    }
    return [];
  } catch {
    return [`its group ${groupName(was.gid)}`];
  }
}

/** The access list as text; empty where there is none, or no program that could tell. */
async function listOf(tools: Toolbox, path: string): Promise<string> {
  if (tools.find('getfacl') === undefined || tools.find('setfacl') === undefined) return '';
  const { code, stdout } = await call(tools, ['getfacl', '-cpn', '--', path]);
  return code === 0 && /^(?!(user|group|other)::)\S/m.test(stdout) ? stdout : '';
}

/** Paths that one call of a program is given. */
const AT_ONCE = 500;

async function takeNamed(
  tools: Toolbox,
  to: string,
  access: readonly Named[],
  inside: readonly Named[],
): Promise<boolean> {
  const all = entriesBelow(to).filter(({ stats }) => !stats.isSymbolicLink());
  const open = all.filter(({ stats }) => (stats.mode & 0o040) !== 0).map(({ path }) => path);
  const folders = all.filter(({ stats }) => stats.isDirectory()).map(({ path }) => path);
  const words = (named: readonly Named[], prefix: string): string =>
    named.map(({ who, rights }) => `${prefix}${who}:${rights}`).join(',');
  const give = async (entries: string, paths: readonly string[]): Promise<boolean> => {
    for (let at = 0; at < paths.length && entries !== ''; at += AT_ONCE) {
      const some = paths.slice(at, at + AT_ONCE);
      if ((await call(tools, ['setfacl', '-m', entries, '--', ...some])).code !== 0) return false;
    }
    return true;
  };
  const given = inside.length > 0 ? inside : access;
  return (await give(words(given, ''), open)) && (await give(words(inside, 'default:'), folders));
}

/** A file or folder and all below it, without following a symlink. */
function entriesBelow(path: string): { path: string; stats: Stats }[] {
  const stats = lstatSync(path);
  if (!stats.isDirectory()) return [{ path, stats }];
  const below = readdirSync(path, { withFileTypes: true }).flatMap((item: Dirent) =>
    entriesBelow(join(path, item.name)),
  );
  return [{ path, stats }, ...below];
}
