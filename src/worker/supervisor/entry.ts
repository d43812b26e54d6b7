/** One program of the application, as its supervisor lists it. */
export interface Instance {
  id: number;
  pid: number;
  status: string;
  restarts: number;
}

/** How a supervisor runs the application; the same for all its instances. */
export interface Entry {
  /** `cluster`: the instances share one port, so that they can be replaced without a gap. */
  mode: 'cluster' | 'fork';
  cwd: string;
  script: string;
  args: string[];
  nodeArgs: string[];
  /** `none`: the script is run as it is. */
  interpreter: string;
  /** Milliseconds until a program that is to end is killed; undefined: the supervisor's own default. */
  killTimeout?: number;
  /** Milliseconds that a new instance is waited for at a restart; undefined: the supervisor's own default. */
  listenTimeout?: number;
  /** Milliseconds before which a program that ends is called unstable; undefined: the supervisor's own default. */
  minUptime?: number;
  /** Milliseconds until a program that has ended by itself is started again; undefined: at once. */
  restartDelay?: number;
  /** What is handed to the application. Holds secrets: never told, never written. */
  env: Record<string, string>;
  instances: Instance[];
  /** It listens on no port, so that nothing but its supervisor tells how it is. */
  portless?: true;
}

/** The port of an entry: PORT in its environment, or -p / --port in its arguments. */
export function portOf(entry: Pick<Entry, 'env' | 'args'>): number | undefined {
  const fromArguments = portInArguments(entry.args);
  const text = fromArguments ?? entry.env.PORT;
  const port = Number(text);
  return text !== undefined && Number.isInteger(port) && port > 0 && port < 65_536 ? port : undefined;
}

function portInArguments(args: readonly string[]): string | undefined {
  for (const [index, word] of args.entries()) {
    const joined = /^(?:--port=|-p=?)(\d+)$/.exec(word);
    if (joined) return joined[1];
    if (word === '-p' || word === '--port') return args[index + 1];
  }
  return undefined;
}

/** The arguments with the port replaced wherever it is given. */
export function withPort(args: readonly string[], port: number): string[] {
  return args.map((word, index) => {
    const joined = /^(--port=|-p=?)\d+$/.exec(word);
    if (joined) return `${joined[1]}${port}`;
    const before = args[index - 1];
    return (before === '-p' || before === '--port') && /^\d+$/.test(word) ? String(port) : word;
  });
}
