/**
 * How long after an application begins to answer is that known, and is the verdict right? `mode: health` against
 * what deploy scripts do instead. `node build/bench/health.js [rounds]`.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { freePort } from '../__tests__/servers/free-port.js';
import { HEALTHY, type Pages, serve, withHttpServer } from '../__tests__/servers/http.js';
import { npmTool } from '../__tests__/servers/npm-tool.js';
import { type Command, ended, spread, table, withServers, writeSection } from './measure.js';

const rounds = Number(process.argv[2] ?? 3);
const WAIT_ON = 'wait-on@9.5.1';
/** Seconds after which the application counts as unhealthy, for those that can wait. */
const DEADLINE = 15;
/** Milliseconds between the starts of two processes, so that they meet neither each other's start nor its end. */
const APART = 700;

interface Subject {
  name: string;
  command(url: string): Command;
}

interface Scenario {
  title: string;
  /** Milliseconds from the start of the command until the application answers. */
  delay: number;
  pages: Pages;
  healthy: boolean;
}

interface Verdict {
  /** From the first possible answer, or from the start where that was later, until the command has ended. */
  milliseconds: number;
  right: boolean;
}

const answering = (status: number, version: string): Pages => ({
  ...HEALTHY,
  '/api/health': { status, type: 'application/json', body: JSON.stringify({ status: 'ok', version }) },
});
const NEW = answering(200, 'v2');
const { '/a.js': _left, ...WITHOUT_SCRIPT } = NEW;

const SCENARIOS: Scenario[] = [
  { title: 'answers already', delay: 0, pages: NEW, healthy: true },
  { title: 'answers after 3 s', delay: 3_000, pages: NEW, healthy: true },
  { title: 'answers after 12 s', delay: 12_000, pages: NEW, healthy: true },
  { title: 'answers 500 for ever', delay: 0, pages: answering(500, 'v2'), healthy: false },
  { title: 'the old version answers', delay: 0, pages: answering(200, 'v1'), healthy: false },
  { title: 'a script of the page is missing', delay: 0, pages: WITHOUT_SCRIPT, healthy: false },
];

async function subjects(): Promise<Subject[]> {
  const modules = join(await npmTool(WAIT_ON), 'node_modules');
  const ours = ['health', '--expect-version', 'v2', '--health-deadline', `${DEADLINE}s`, '--health-url'];
  return [
    {
      name: '`mode: health`',
      command: (url) => ({
        program: process.execPath,
        args: [resolve(process.env.DIST ?? 'dist', 'cli.js'), ...ours, url],
      }),
    },
    {
      name: WAIT_ON,
      command: (url) => ({
        program: process.execPath,
        args: [
          join(modules, 'wait-on', 'bin', 'wait-on'),
          '--timeout',
          `${DEADLINE}s`,
          `${url.replace('http://', 'http-get://')}/api/health`,
        ],
      }),
    },
    {
      name: '`sleep 10; curl -f`',
      command: (url) => ({ program: '/bin/sh', args: ['-c', `sleep 10; curl -sf '${url}/api/health'`] }),
    },
  ];
}

/** One command, and a server of its own that begins to answer `delay` later. */
async function verdictOf(
  { delay, pages, healthy }: Scenario,
  { command }: Subject,
  folder: string,
  signal: AbortSignal,
): Promise<Verdict> {
  const port = await freePort();
  const run = (): ReturnType<typeof ended> =>
    ended({ ...command(`http://127.0.0.1:${port}`), cwd: folder, signal });
  const early = delay > 0 ? run() : undefined;
  // At a random moment between two questions.
  if (early) await Promise.race([pause(delay + Math.random() * 500, undefined, { signal }), early]);
  return withHttpServer(
    serve(pages),
    async () => {
      const answers = performance.now();
      const { code } = await (early ?? run());
      return { milliseconds: performance.now() - answers, right: (code === 0) === healthy };
    },
    { port },
  );
}

await withServers(async ({ signal, open }) => {
  const folder = mkdtempSync(join(tmpdir(), 'muva-bench-'));
  await open(() => ({ stop: () => rmSync(folder, { recursive: true, force: true }) }));
  const all = await subjects();
  const results = new Map<string, Verdict[]>();
  const key = (scenario: Scenario, subject: Subject): string => `${scenario.title}, ${subject.name}`;
  for (let round = 0; round < rounds; round++) {
    const pairs = SCENARIOS.flatMap((scenario) => all.map((subject) => ({ scenario, subject })));
    await Promise.all(
      pairs.map(async ({ scenario, subject }, index) => {
        await pause(index * APART, undefined, { signal });
        const verdict = await verdictOf(scenario, subject, folder, signal);
        const name = key(scenario, subject);
        results.set(name, [...(results.get(name) ?? []), verdict]);
      }),
    );
  }
  const cell = (scenario: Scenario, subject: Subject): string => {
    const verdicts = results.get(key(scenario, subject))!;
    const wrong = verdicts.filter(({ right }) => !right).length;
    const time = wrong === 0 ? spread(verdicts.map((verdict) => verdict.milliseconds)) : '';
    return wrong === 0 ? time : wrong === rounds ? '**wrong**' : `**wrong**, ${wrong} of ${rounds}`;
  };
  const rows = SCENARIOS.map((scenario) => [
    scenario.title,
    ...all.map((subject) => cell(scenario, subject)),
  ]);
  const text = `From the moment the application answers (where it never becomes healthy: from the start) until the command has
ended with its verdict; **wrong**: a healthy application was called sick, or a sick one healthy. \`mode: health\` asks
the root page, its scripts and styles and \`/api/health\` until all were good twice in a row, and expects \`v2\` there;
it and wait-on give up after ${DEADLINE} s. The others ask \`/api/health\` alone. Whole processes, started ${APART} ms
apart, each with a server of its own; ${rounds} rounds.\n\n${table(['the application', ...all.map(({ name }) => name)], rows)}`;
  console.log(text);
  writeSection(`health ${rounds}`, 'Health', text);
});
