import { spawn } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { createInterface } from 'node:readline';
import { parse } from 'yaml';
import { COMMANDS, parseCommand, parseEntries } from './runner-commands.js';
import { type Masks, secretMasks } from './runner-masks.js';

/**
 * A local stand-in for the GitHub runner: starts a JavaScript action as `uses:` would and reads what it says
 * and writes as the runner does. No network, no container.
 */
export interface RunOptions {
  /** The folder that holds action.yml. */
  root: string;
  /** Runs this file instead of the one that action.yml names as `main`. */
  entry?: string;
  /** Runs this file as the post step; by default the one of action.yml, and none where `entry` is given. */
  postEntry?: string;
  /** The step's `with:`. */
  inputs?: Record<string, string>;
  /** The job's `env:`; also the place to change GITHUB_RUN_ID, GITHUB_SHA and the like. */
  env?: Record<string, string>;
  /** The checkout: the working folder of the step. */
  workspace: string;
  /** The event's payload; an empty object by default. */
  event?: unknown;
  /** What `${{ github.token }}` stands for. */
  token?: string;
  /** Values that the workflow takes from `secrets.`: masked from the start, as the runner does. */
  secrets?: string[];
  nodePath?: string;
  /** Cancels the run once it answers true (asked after every line with the masked log so far), or when it fires. */
  cancelAfter?: ((log: string) => boolean) | AbortSignal;
  /** A forced cancel: SIGKILL at once, and no post step. */
  force?: boolean;
  /** Told every line as it appears in the log, while the action runs. */
  onLine?: (line: string) => void;
}

interface Annotation {
  level: 'error' | 'warning' | 'notice';
  message: string;
  title?: string;
  file?: string;
  line?: number;
  column?: number;
}

/** What one script of the action left behind. */
export interface StepResult {
  /** null where a signal ended it. */
  exitCode: number | null;
  signal: NodeJS.Signals | null;
  /** As a person sees it: masked, commands rendered. */
  log: string;
  /** Every line as the action wrote it. */
  rawLog: string;
  outputs: Record<string, string>;
  summary: string;
  /** As the action wrote it, before the runner masks it. */
  rawSummary: string;
  /** At most ten of each level, as GitHub keeps them. */
  annotations: Annotation[];
  /** Annotations said in all, before that limit. */
  annotationsSaid: number;
  state: Record<string, string>;
  env: Record<string, string>;
  path: string[];
  conclusion: 'success' | 'failure' | 'cancelled';
  milliseconds: number;
  /** From the start of the process to its first line; undefined where it said nothing. */
  firstLineMs?: number;
}

export interface RunResult extends StepResult {
  post?: StepResult;
}

const ANNOTATIONS_KEPT = 10;
const ANNOTATION_LENGTH = 4_096;
const SUMMARY_BYTES = 1_024 * 1_024;
const OUTPUT_BYTES = 1_024 * 1_024;
const GRACE_AFTER_SIGINT = 7_500;
const GRACE_AFTER_SIGTERM = 2_500;

interface ActionFile {
  inputs?: Record<string, { default?: string }>;
  runs: { using: string; main: string; post?: string };
}

/** Starts the action's main script and, unless the cancel was forced, its post script. */
export async function runAction(options: RunOptions): Promise<RunResult> {
  // Every scalar as a string, as the runner hands it over.
  const action = parse(readFileSync(join(options.root, 'action.yml'), 'utf8'), {
    schema: 'failsafe',
  }) as ActionFile;
  const token = options.token ?? 'ghs_0123456789abcdefghijklmnopqrstuvwxyz';
  const masks = secretMasks();
  for (const secret of [token, ...(options.secrets ?? [])]) masks.add(secret);
  const folder = mkdtempSync(join(tmpdir(), 'local-runner-'));
  try {
    const env = { ...runnerEnvironment(options, folder), ...inputEnvironment(action, options, token) };
    const entry = resolve(options.root, options.entry ?? action.runs.main);
    const main = await runScript(options, entry, env, masks, folder, options.cancelAfter);
    const postEntry = options.postEntry ?? (options.entry === undefined ? action.runs.post : undefined);
    const forced = options.force === true && main.conclusion === 'cancelled';
    if (postEntry === undefined || forced) return main;
    const state = Object.fromEntries(
      Object.entries(main.state).map(([name, value]) => [`STATE_${name}`, value]),
    );
    const post = await runScript(
      options,
      resolve(options.root, postEntry),
      { ...env, ...main.env, ...state },
      masks,
      folder,
    );
    return { ...main, post };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

function runnerEnvironment(options: RunOptions, folder: string): Record<string, string> {
  const event = join(folder, 'event.json');
  writeFileSync(event, JSON.stringify(options.event ?? {}));
  mkdirSync(join(folder, 'temp'));
  const inherited = Object.fromEntries(
    ['PATH', 'HOME', 'USER', 'LANG'].flatMap((name) =>
      process.env[name] === undefined ? [] : [[name, process.env[name]]],
    ),
  );
  return {
    ...inherited,
    CI: 'true',
    GITHUB_ACTIONS: 'true',
    GITHUB_ACTION: '__self',
    GITHUB_ACTOR: 'octocat',
    GITHUB_API_URL: 'http://127.0.0.1:9',
    GITHUB_EVENT_NAME: 'push',
    GITHUB_EVENT_PATH: event,
    GITHUB_JOB: 'deploy',
    GITHUB_REF: 'refs/heads/main',
    GITHUB_REF_NAME: 'main',
    GITHUB_REPOSITORY: 'octocat/hotel',
    GITHUB_RUN_ATTEMPT: '1',
    GITHUB_RUN_ID: '1001',
    GITHUB_RUN_NUMBER: '1',
    GITHUB_SERVER_URL: 'https://github.com',
    GITHUB_WORKFLOW: 'Deploy',
    GITHUB_WORKSPACE: options.workspace,
    RUNNER_NAME: 'local',
    RUNNER_OS: 'Linux',
    RUNNER_TEMP: join(folder, 'temp'),
    ...options.env,
  };
}

function inputEnvironment(action: ActionFile, options: RunOptions, token: string): Record<string, string> {
  const given = new Map(
    Object.entries(options.inputs ?? {}).map(([name, value]) => [name.toLowerCase(), value]),
  );
  const env: Record<string, string> = {};
  for (const [name, input] of Object.entries(action.inputs ?? {})) {
    const fallback = (input.default ?? '').replace(/\$\{\{\s*github\.token\s*\}\}/g, () => token);
    if (fallback.includes('${{'))
      throw new Error(`the default of ${name} is an expression this runner cannot read`);
    env[inputVariable(name)] = given.get(name.toLowerCase()) ?? fallback;
    given.delete(name.toLowerCase());
  }
  // The runner warns about an input that action.yml does not declare, and hands it over all the same.
  for (const [name, value] of given) env[inputVariable(name)] = value;
  return env;
}

function inputVariable(name: string): string {
  return `INPUT_${name.replaceAll(' ', '_').toUpperCase()}`;
}

async function runScript(
  options: RunOptions,
  script: string,
  env: Record<string, string>,
  masks: Masks,
  folder: string,
  cancel?: RunOptions['cancelAfter'],
): Promise<StepResult> {
  const own = mkdtempSync(join(folder, 'step-'));
  const files = Object.fromEntries(
    ['OUTPUT', 'STATE', 'ENV', 'PATH', 'STEP_SUMMARY'].map((name) => [name, join(own, name)]),
  ) as Record<'OUTPUT' | 'STATE' | 'ENV' | 'PATH' | 'STEP_SUMMARY', string>;
  for (const file of Object.values(files)) writeFileSync(file, '');
  const fileEnv = Object.fromEntries(Object.entries(files).map(([name, file]) => [`GITHUB_${name}`, file]));
  const reader = outputReader(masks, env.ACTIONS_STEP_DEBUG === 'true', options.onLine);
  const ended = await runProcess(options, script, { ...env, ...fileEnv }, reader, cancel);

  const errors: string[] = [];
  const entriesOf = (file: string): Record<string, string> => {
    try {
      return parseEntries(readFileSync(file, 'utf8'));
    } catch (error) {
      errors.push((error as Error).message);
      return {};
    }
  };
  const outputs = { ...reader.outputs, ...entriesOf(files.OUTPUT) };
  const state = { ...reader.state, ...entriesOf(files.STATE) };
  const stepEnv = entriesOf(files.ENV);
  const size = Object.values(outputs).reduce((sum, value) => sum + Buffer.byteLength(value, 'utf16le'), 0);
  if (size > OUTPUT_BYTES) errors.push(`The outputs are too large: ${size} bytes, at most ${OUTPUT_BYTES}`);
  const summary = readFileSync(files.STEP_SUMMARY, 'utf8');
  if (Buffer.byteLength(summary) > SUMMARY_BYTES)
    reader.say(`##[error]$GITHUB_STEP_SUMMARY upload aborted, supports content up to a size of 1024k`);
  for (const error of errors) reader.say(`##[error]${error}`);
  const failed = ended.exitCode !== 0 || errors.length > 0;
  return {
    ...ended,
    log: reader.log.join('\n'),
    rawLog: reader.raw.join('\n'),
    outputs,
    summary: Buffer.byteLength(summary) > SUMMARY_BYTES ? '' : masks.apply(summary),
    rawSummary: summary,
    annotations: reader.annotations,
    annotationsSaid: reader.said(),
    state,
    env: stepEnv,
    path: readFileSync(files.PATH, 'utf8')
      .split('\n')
      .filter((line) => line !== ''),
    conclusion: ended.cancelled ? 'cancelled' : failed ? 'failure' : 'success',
  };
}

interface OutputReader {
  readonly log: string[];
  readonly raw: string[];
  readonly outputs: Record<string, string>;
  readonly state: Record<string, string>;
  readonly annotations: Annotation[];
  said(): number;
  /** A line of the runner's own. */
  say(line: string): void;
  /** A line that the action wrote, on either stream. */
  read(line: string): void;
}

function outputReader(masks: Masks, debug: boolean, onLine?: (line: string) => void): OutputReader {
  const known = new Set<string>(COMMANDS);
  let stopToken: string | undefined;
  let said = 0;
  const reader: OutputReader = {
    log: [],
    raw: [],
    outputs: {},
    state: {},
    annotations: [],
    said: () => said,
    say(line) {
      const shown = masks.apply(line);
      reader.log.push(...shown.split('\n'));
      onLine?.(shown);
    },
    read(line) {
      reader.raw.push(line);
      const command = parseCommand(line, known);
      if (command === undefined) return reader.say(line);
      if (stopToken !== undefined) {
        if (command.name === stopToken) {
          known.delete(stopToken);
          stopToken = undefined;
        }
        return reader.say(line);
      }
      const { name, properties, text } = command;
      if (name === 'stop-commands') {
        if (text === '' || known.has(text)) throw new Error(`'${text}' cannot be a stop token`);
        stopToken = text;
        known.add(text);
        if (text.length > 6) masks.add(text);
        reader.say(line);
      } else if (name === 'add-mask') {
        masks.add(text);
        reader.say('::add-mask::***');
      } else if (name === 'set-output') reader.outputs[properties.name ?? ''] = text;
      else if (name === 'save-state') reader.state[properties.name ?? ''] = text;
      else if (name === 'debug') {
        if (debug) reader.say(`##[debug]${text}`);
      } else if (name === 'error' || name === 'warning' || name === 'notice') {
        said++;
        annotate(reader.annotations, name, properties, masks.apply(text));
        reader.say(`##[${name}]${text}`);
      } else if (name === 'set-env' || name === 'add-path')
        reader.say(`##[error]The \`${name}\` command is disabled`);
      else reader.say(`##[${name}]${text}`);
    },
  };
  return reader;
}

function annotate(
  list: Annotation[],
  level: Annotation['level'],
  properties: Record<string, string>,
  message: string,
): void {
  if (list.filter((annotation) => annotation.level === level).length >= ANNOTATIONS_KEPT) return;
  const line = Number(properties.line);
  const column = Number(properties.col);
  list.push({
    level,
    message: message.slice(0, ANNOTATION_LENGTH),
    ...(properties.title ? { title: properties.title } : {}),
    ...(properties.file ? { file: properties.file } : {}),
    ...(line > 0 ? { line } : {}),
    ...(line > 0 && column > 0 ? { column } : {}),
  });
}

async function runProcess(
  options: RunOptions,
  script: string,
  env: Record<string, string>,
  reader: OutputReader,
  cancel?: RunOptions['cancelAfter'],
): Promise<
  Pick<StepResult, 'exitCode' | 'signal' | 'milliseconds' | 'firstLineMs'> & { cancelled: boolean }
> {
  const started = performance.now();
  const child = spawn(options.nodePath ?? process.execPath, [script], {
    cwd: options.workspace,
    env,
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const timers: NodeJS.Timeout[] = [];
  let cancelled = false;
  let firstLineMs: number | undefined;
  const stop = (): void => {
    if (cancelled || child.exitCode !== null || child.signalCode !== null) return;
    cancelled = true;
    if (options.force) return void child.kill('SIGKILL');
    // To the node process only, never to its children.
    child.kill('SIGINT');
    timers.push(setTimeout(() => child.kill('SIGTERM'), GRACE_AFTER_SIGINT));
    timers.push(setTimeout(() => child.kill('SIGKILL'), GRACE_AFTER_SIGINT + GRACE_AFTER_SIGTERM));
  };
  const onSignal = cancel instanceof AbortSignal ? cancel : undefined;
  onSignal?.addEventListener('abort', stop, { once: true });
  if (onSignal?.aborted) stop();
  const drained = [child.stdout, child.stderr].map(
    (stream) =>
      new Promise<void>((done) => {
        createInterface({ input: stream, crlfDelay: Number.POSITIVE_INFINITY })
          .on('line', (line) => {
            firstLineMs ??= performance.now() - started;
            reader.read(line);
            if (typeof cancel === 'function' && !cancelled && cancel(reader.log.join('\n'))) stop();
          })
          .on('close', done);
      }),
  );
  try {
    const [exitCode, signal] = await new Promise<[number | null, NodeJS.Signals | null]>((done, fail) => {
      child.once('error', fail);
      child.once('exit', (code, by) => done([code, by]));
    });
    await Promise.all(drained);
    return {
      exitCode,
      signal,
      cancelled,
      milliseconds: performance.now() - started,
      ...(firstLineMs === undefined ? {} : { firstLineMs }),
    };
  } finally {
    for (const timer of timers) clearTimeout(timer);
    onSignal?.removeEventListener('abort', stop);
  }
}
