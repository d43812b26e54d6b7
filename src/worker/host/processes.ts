import { readdirSync, readFileSync, readlinkSync } from 'node:fs';

/** What Linux tells about running programs, from /proc; everything undefined where it cannot be read. */

/** Identifies a program across the re-use of its id: start time in clock ticks since the host's start. */
export function startTimeOf(pid: number): string | undefined {
  return statFields(pid)?.[19];
}

/** Clock ticks a second in /proc, on every architecture that Linux servers run on. */
const TICKS = 100;

/** Milliseconds since a program was started; both times count from the host's start, so no clock is asked. */
export function ageOf(pid: number): number | undefined {
  const started = Number(startTimeOf(pid) ?? Number.NaN);
  try {
    const up = Number(readFileSync('/proc/uptime', 'utf8').split(' ')[0]);
    const age = Math.round((up - started / TICKS) * 1_000);
    return Number.isFinite(age) ? age : undefined;
  } catch {
    return undefined;
  }
}

/** The id of the program that started this one. */
export function parentOf(pid: number): number | undefined {
  const parent = Number(statFields(pid)?.[1]);
  return Number.isInteger(parent) ? parent : undefined;
}

/** The fields of /proc/<pid>/stat after the name, which may itself hold spaces and brackets. */
function statFields(pid: number): string[] | undefined {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, 'utf8');
    return text.slice(text.lastIndexOf(')') + 2).split(' ');
  } catch {
    return undefined;
  }
}

/** True while the program with this id and start time runs (a zombie does not). */
export function isAlive(pid: number, startTime: string | undefined): boolean {
  const fields = statFields(pid);
  return fields !== undefined && fields[0] !== 'Z' && (startTime === undefined || fields[19] === startTime);
}

export function processEnvironment(pid: number): Record<string, string> | undefined {
  try {
    const entries = readFileSync(`/proc/${pid}/environ`, 'utf8').split('\0').filter(Boolean);
    return Object.fromEntries(
      entries.map((entry) => [entry.slice(0, entry.indexOf('=')), entry.slice(entry.indexOf('=') + 1)]),
    );
  } catch {
    return undefined;
  }
}

/** The name of its program file, at most 15 characters. */
export function processName(pid: number): string | undefined {
  try {
    return readFileSync(`/proc/${pid}/comm`, 'utf8').trimEnd();
  } catch {
    return undefined;
  }
}

/** The folder in which a program works, symlinks resolved. */
export function cwdOf(pid: number): string | undefined {
  try {
    return readlinkSync(`/proc/${pid}/cwd`);
  } catch {
    return undefined;
  }
}

/** True where a program has the file open, as far as may be looked into it. */
export function holdsOpen(pid: number, file: string): boolean {
  return openedBy(pid).includes(file);
}

export function commandOf(pid: number): string | undefined {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' ').trim();
  } catch {
    return undefined;
  }
}

/** Ids of all programs, newest last. */
export function allProcesses(): number[] {
  try {
    return readdirSync('/proc').map(Number).filter(Number.isInteger);
  } catch {
    return [];
  }
}

/** Ids of the programs that work in a folder or below it. */
export function programsIn(folder: string): number[] {
  return allProcesses().filter((pid) => {
    const cwd = cwdOf(pid);
    return cwd === folder || cwd?.startsWith(`${folder}/`);
  });
}

/** Ids of the programs that listen on a TCP port and may be looked into; empty where none is found. */
export function listenersOn(port: number): number[] {
  return holdersOf(socketsOn(port)).map(({ pid }) => pid);
}

/** The sockets that listen on a port, as open descriptors name them. */
function socketsOn(port: number): Set<string> {
  return new Set(inTables((table) => listeningInodes(table, port).map((inode) => `socket:[${inode}]`)));
}

/** What `pick` finds in the text of each table of TCP sockets. */
function inTables<T>(pick: (table: string) => T[]): T[] {
  return ['/proc/net/tcp', '/proc/net/tcp6'].flatMap((table) => {
    try {
      return pick(readFileSync(table, 'utf8'));
    } catch {
      // No such table on this host.
      return [];
    }
  });
}

/** The fields of the sockets that listen (state 0A); where a port is given, on that. */
function listeningSockets(table: string, port?: number): string[][] {
  const wanted = port?.toString(16).toUpperCase().padStart(4, '0');
  return table
    .split('\n')
    .slice(1)
    .map((line) => line.trim().split(/\s+/))
    .filter((fields) => fields[3] === '0A' && (wanted === undefined || fields[1]?.split(':')[1] === wanted));
}

/**
 * Where somebody listens on a port, where loopback is not among it: as /proc has the addresses. Empty where a request to
 * 127.0.0.1 or ::1 arrives, or nobody listens.
 */
export function elsewhereOn(port: number): string[] {
  const places = inTables((table) => listeningAddresses(table, port));
  return places.some(isReachedByLoopback) ? [] : [...new Set(places)];
}

/** The addresses of the sockets that listen on a port, in hexadecimal digits as /proc/net/tcp has them. */
export function listeningAddresses(table: string, port: number): string[] {
  return listeningSockets(table, port).map((fields) => fields[1]!.split(':')[0]!);
}

/** True for the loopback addresses and for "all addresses", of both versions. The bytes of each word are turned round. */
export function isReachedByLoopback(address: string): boolean {
  return (
    /^0+$/.test(address) ||
    /^[0-9A-F]{6}7F$/.test(address) ||
    /^0+01000000$|^0+FFFF0000[0-9A-F]{6}7F$/.test(address)
  );
}

/** `0501A8C0` as `192.168.1.5`; IPv6 stays as it is. */
export function readableAddress(address: string): string {
  if (address.length !== 8) return address;
  const bytes = [6, 4, 2, 0].map((at) => Number.parseInt(address.slice(at, at + 2), 16));
  return bytes.join('.');
}

/** The TCP ports on which programs listen, and all that they have started, as far as may be looked into them. */
export function portsHeldBy(programs: ReadonlySet<number>): number[] {
  const links = new Set(
    allProcesses()
      .filter((pid) => descendsFrom(pid, programs))
      .flatMap(openedBy),
  );
  const ports = inTables((table) =>
    listeningSockets(table)
      .filter((fields) => links.has(`socket:[${fields[9]}]`))
      .map((fields) => Number.parseInt(fields[1]!.split(':')[1] ?? '', 16)),
  );
  return [...new Set(ports)];
}

function holdersOf(sockets: ReadonlySet<string>): { pid: number; holds: string[] }[] {
  if (sockets.size === 0) return [];
  return allProcesses()
    .map((pid) => ({ pid, holds: openedBy(pid).filter((link) => sockets.has(link)) }))
    .filter(({ holds }) => holds.length > 0);
}

/**
 * The programs behind a TCP port: those that listen, and all that they have started; each as `pid:start time`, which no
 * other ever is. undefined where nobody listens, or one who does may not be looked into. systemd, which only holds a
 * socket for its services, is not among them: it has started everything.
 */
export function programsBehind(port: number): ReadonlySet<string> | undefined {
  const sockets = socketsOn(port);
  const holders = holdersOf(sockets);
  const seen = new Set(holders.flatMap(({ holds }) => holds));
  const listeners = new Set(
    holders.map(({ pid }) => pid).filter((pid) => pid !== 1 && processName(pid) !== 'systemd'),
  );
  if (listeners.size === 0 || seen.size < sockets.size) return undefined;
  return new Set(
    allProcesses()
      .filter((pid) => descendsFrom(pid, listeners))
      .flatMap((pid) => {
        const started = startTimeOf(pid);
        return started === undefined ? [] : [`${pid}:${started}`];
      }),
  );
}

/** Inodes of the sockets that listen on a port, out of the text of /proc/net/tcp. */
export function listeningInodes(table: string, port: number): string[] {
  return listeningSockets(table, port).flatMap((fields) => fields[9] ?? []);
}

/** What the open descriptors of a program lead to; empty where that may not be seen. */
function openedBy(pid: number): string[] {
  try {
    return readdirSync(`/proc/${pid}/fd`).map((fd) => {
      try {
        return readlinkSync(`/proc/${pid}/fd/${fd}`);
      } catch {
        return '';
      }
    });
  } catch {
    return [];
  }
}

/** True where `pid` is one of `ancestors` or was started by one, at any distance. */
export function descendsFrom(pid: number, ancestors: ReadonlySet<number>): boolean {
  for (let at: number | undefined = pid; at !== undefined && at > 1; at = parentOf(at))
    if (ancestors.has(at)) return true;
  return false;
}
