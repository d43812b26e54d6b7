import {
  closeSync,
  existsSync,
  fstatSync,
  fsyncSync,
  ftruncateSync,
  lstatSync,
  mkdirSync,
  openSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeSync,
} from 'node:fs';
import { dirname } from 'node:path';

/** Writes all bytes. On a disk that is nearly full the system takes a part of them, and says so without an error. */
export function writeAll(fd: number, content: string | Uint8Array): void {
  let rest = typeof content === 'string' ? Buffer.from(content) : content;
  while (rest.length > 0) rest = rest.subarray(writeSync(fd, rest));
}

/**
 * Writes a file so that a reader, a power cut or a full disk sees the old content or the new, never a part. What could
 * not be written whole is taken away again.
 */
export function writeAtomically(file: string, content: string | Uint8Array, mode = 0o600): void {
  mkdirSync(dirname(file), { recursive: true });
  const next = `${file}.${process.pid}.next`;
  try {
    const fd = openSync(next, 'w', mode);
    try {
      writeAll(fd, content);
      fsyncSync(fd);
    } finally {
      closeSync(fd);
    }
    renameSync(next, file);
  } catch (error) {
    removePath(next);
    throw error;
  }
  syncFolder(dirname(file));
}

/** Adds all of a text at the end of an open file, or nothing of it. `durable`: waits until it is on the disk. */
export function appendWhole(fd: number, text: string, durable = false): void {
  const { size } = fstatSync(fd);
  try {
    writeAll(fd, text);
    if (durable) fsyncSync(fd);
  } catch (error) {
    ftruncateSync(fd, size);
    throw error;
  }
}

/** Adds one line, or nothing of it, and waits until it is on the disk. */
export function appendLine(file: string, line: string): void {
  const fd = openSync(file, 'a', 0o600);
  try {
    appendWhole(fd, `${line}\n`, true);
  } finally {
    closeSync(fd);
  }
}

/** Waits until what was written into a file is on the disk. */
export function syncFile(file: string): void {
  const fd = openSync(file, 'r');
  try {
    fsyncSync(fd);
  } finally {
    closeSync(fd);
  }
}

/** Makes renames in a folder durable. */
export function syncFolder(folder: string): void {
  syncFile(folder);
}

/** The text of a file; undefined where there is none. */
export function readText(file: string): string | undefined {
  try {
    return readFileSync(file, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}

/** A JSON file of our own; undefined where there is none or it is torn. */
export function readJson<T>(file: string): T | undefined {
  const text = readText(file);
  if (text === undefined) return undefined;
  try {
    return JSON.parse(text) as T;
  } catch {
    return undefined;
  }
}

/** True where something has that name, also a symlink that leads nowhere. */
export function present(path: string): boolean {
  try {
    lstatSync(path);
    return true;
  } catch {
    return false;
  }
}

export function isFolder(path: string): boolean {
  return existsSync(path) && statSync(path).isDirectory();
}

export function isFile(path: string): boolean {
  return existsSync(path) && statSync(path).isFile();
}

export function isSymlink(path: string): boolean {
  return present(path) && lstatSync(path).isSymbolicLink();
}

export function removePath(path: string): void {
  rmSync(path, { recursive: true, force: true, maxRetries: 3 });
}

/** The device of a path, or of the nearest folder above it that exists: renames work only within one. */
export function deviceOf(path: string): number {
  let at = path;
  while (!existsSync(at) && dirname(at) !== at) at = dirname(at);
  return statSync(at).dev;
}
