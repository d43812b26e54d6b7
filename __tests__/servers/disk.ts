import { spawnSync } from 'node:child_process';
import { chmodSync, mkdtempSync, rmdirSync, statfsSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** A disk of its own, in memory, that can be filled to the last byte in one step. */
export interface Disk {
  readonly path: string;
  /** From now on so many bytes more can be written there, none by default; what lies there stays. */
  fill(left?: number): void;
  /** Bytes that can be written there now. */
  left(): number;
  /** There is room again. */
  free(): void;
  stop(): void;
}

/** A deploy asks for 512 MB; what is not written takes none of them. */
const ROOMY = 4 * 1_024 ** 3;

/** Mounts a disk. @throws where this user may not: the tests that need one must be run as root, as .ci/run does. */
export function mountDisk(size = ROOMY): Disk {
  const path = mkdtempSync(join(tmpdir(), 'muva-disk-'));
  mustMount('-t', 'tmpfs', '-o', `size=${size}`, 'tmpfs', path);
  chmodSync(path, 0o755);
  const resize = (bytes: number): boolean => mount('-o', `remount,size=${bytes}`, path).status === 0;
  return {
    path,
    fill(left = 0) {
      // What is written between the two steps makes the second one fail.
      for (let tries = 0; tries < 100; tries++) {
        const { blocks, bfree, bsize } = statfsSync(path);
        if (resize((blocks - bfree) * bsize + left)) return;
      }
      throw new Error(`${path} could not be filled: too much is written there meanwhile`);
    },
    left() {
      const { bavail, bsize } = statfsSync(path);
      return bavail * bsize;
    },
    free() {
      if (!resize(size)) throw new Error(`${path} could not be made larger again`);
    },
    stop() {
      // Programs that are just ending may still have something open there.
      spawnSync('umount', ['-l', path]);
      rmdirSync(path);
    },
  };
}

function mount(...words: string[]): { status: number | null; stderr: string } {
  return spawnSync('mount', words, { encoding: 'utf8' });
}

function mustMount(...words: string[]): void {
  const { status, stderr } = mount(...words);
  if (status !== 0)
    throw new Error(
      `mount ${words.join(' ')} failed: ${stderr?.trim() || 'there is no such program'}. These tests fill a real disk: run them as root, in a container with CAP_SYS_ADMIN.`,
    );
}
