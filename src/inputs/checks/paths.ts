import { tidyPath } from '../../lib/paths.js';
import { type NameProblem, visible } from './names.js';

/** A path inside the project: relative, not upwards, not an option. */
export function checkRelativePath(path: string): NameProblem {
  const invisible = visible(path);
  if (invisible) return invisible;
  const right = 'Use a path inside the project, such as supabase/migrations.';
  if (path.startsWith('-')) return { wrong: 'starts with a dash and would be read as an option', right };
  if (path.startsWith('/') || /^[A-Za-z]:/.test(path)) return { wrong: 'is an absolute path', right };
  if (path.split(/[\\/]/).includes('..')) return { wrong: 'leads out of the project', right };
  if (/^["'`]|["'`]$/.test(path)) return { wrong: 'begins or ends with a quote', right };
  return undefined;
}

/** A file or folder of the application, as the server will take it: literally, and below the application's root. */
export function checkAppPath(path: string): NameProblem {
  const right = 'Use the path of a file or folder inside the application, such as storage.';
  if (/[\n\r]/.test(path)) return { wrong: 'has a quote that is not closed', right };
  const general = checkRelativePath(path);
  if (general) return { right, ...visible(path), wrong: general.wrong };
  if (path !== path.trim()) return { wrong: 'begins or ends with a blank', right };
  if (path.startsWith('~')) return { wrong: 'starts with ~, which stands for a home folder', right };
  const pattern = /[*?]/.exec(path)?.[0];
  if (pattern !== undefined)
    return {
      wrong: `holds ${pattern}: patterns are not resolved`,
      right: 'Name each file or folder itself.',
    };
  if (path.includes('\\')) return { wrong: 'holds a backslash', right: 'Separate folders by a slash.' };
  const tidy = tidyPath(path);
  if (tidy === '') return { wrong: 'means the whole application', right };
  if (/^\.git(\/|$)/i.test(tidy)) return { wrong: "is git's own folder", right };
  return undefined;
}

/** A folder on the VPS: absolute, normal, and deep enough not to be the system's own. */
export function checkRemotePath(path: string): NameProblem {
  const invisible = visible(path);
  if (invisible) return invisible;
  const right = 'Use the absolute path of the application on the server, such as /var/www/app.';
  if (!path.startsWith('/')) return { wrong: 'is not an absolute path', right };
  const parts = path.split('/').filter((part) => part !== '');
  if (parts.some((part) => part === '.' || part === '..')) return { wrong: 'holds . or .. segments', right };
  if (parts.length < 2) return { wrong: 'is a top-level folder of the server', right };
  return undefined;
}

/** One path from a folder and a path inside it. */
export function joinPath(folder: string, path: string): string {
  if (folder === '.' || folder === '') return path;
  return path === '.' || path === '' ? folder : `${folder.replace(/\/+$/, '')}/${path}`;
}
