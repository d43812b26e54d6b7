import { statfsSync } from 'node:fs';
import { freemem } from 'node:os';
import { dirname } from 'node:path';
import type { HostFacts } from '../protocol.js';
import { isFolder, readText } from './files.js';

/** A deploy needs room for a second copy of everything. */
const LEAST_FREE_BYTES = 512 * 1_048_576;
const LEAST_FREE_INODES = 20_000;
const LITTLE_MEMORY = 512 * 1_048_576;

/** What is free on the disk of the application, and of the memory. */
export function freeSpace(appPath: string): Pick<HostFacts, 'freeBytes' | 'freeInodes' | 'memoryBytes'> {
  let at = appPath;
  while (!isFolder(at)) at = dirname(at);
  const disk = statfsSync(at);
  return {
    freeBytes: disk.bavail * disk.bsize,
    // File systems without a fixed number of inodes (btrfs) say 0 of 0.
    ...(disk.files === 0 ? {} : { freeInodes: disk.ffree }),
    memoryBytes: availableMemory(),
  };
}

/** Less than what a file of a few lines may take counts as nothing. */
const AS_GOOD_AS_NOTHING = 64 * 1_024;

/** True where next to nothing can be written any more at a place, or nothing is there. */
export function isFull(place: string): boolean {
  try {
    const { freeBytes, freeInodes } = freeSpace(place);
    return freeBytes < AS_GOOD_AS_NOTHING || freeInodes === 0;
  } catch {
    return false;
  }
}

function availableMemory(): number {
  const kilobytes = /^MemAvailable:\s+(\d+)/m.exec(readText('/proc/meminfo') ?? '')?.[1];
  return kilobytes === undefined ? freemem() : Number(kilobytes) * 1_024;
}

/** Room that is too little for a second copy, or for a build. Pure over the facts. */
export function judgeFreeSpace(facts: HostFacts, appPath: string): void {
  const megabytes = (bytes: number): string => `${Math.floor(bytes / 1_048_576)} MB`;
  if (facts.freeBytes < LEAST_FREE_BYTES)
    facts.deployRefusals.push({
      message: `Only ${megabytes(facts.freeBytes)} are free on the disk of ${appPath}; a deploy needs ${megabytes(LEAST_FREE_BYTES)}.`,
      next: 'Free some space (old logs, docker images, pnpm store prune), or lower keep-releases.',
    });
  if (facts.freeInodes !== undefined && facts.freeInodes < LEAST_FREE_INODES)
    facts.deployRefusals.push({
      message: `Only ${facts.freeInodes} inodes are free on the disk of ${appPath}; a deploy needs ${LEAST_FREE_INODES}.`,
      next: 'Delete folders with many small files (old node_modules, caches), or lower keep-releases.',
    });
  if (facts.memoryBytes < LITTLE_MEMORY)
    facts.warnings.push({
      message: `Only ${megabytes(facts.memoryBytes)} of memory are available; a build may be killed.`,
      next: 'Add swap, or build in the job with build-on: runner.',
    });
}
