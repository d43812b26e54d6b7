/**
 * For how long the old code meets the new schema: a Next.js application under load gets three additive migrations, with
 * the migrations before the cutover and, in turns, before the build. `node build/bench/schema-lead.js [rounds]`.
 */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { runBundle } from '../__tests__/servers/entry-points.js';
import { installNext, nextVersion } from '../__tests__/servers/next-app.js';
import { startOrigin } from '../__tests__/servers/origin.js';
import { kill } from '../__tests__/servers/pm2.js';
import { startPostgres } from '../__tests__/servers/postgres.js';
import { startSshd } from '../__tests__/servers/sshd.js';
import { startVps } from '../__tests__/servers/vps.js';
import { jobWith } from '../__tests__/servers/whole-deploy.js';
import { interleaved, median, milliseconds, spread, table, withServers, writeSection } from './measure.js';
import { shopFiles } from './next-shop.js';
import { watch } from './watch.js';

const rounds = Number(process.argv[2] ?? 3);

/** What is migrated before. */
type Order = 'cutover' | 'build';

interface Lead {
  schemaLeadMs: number;
  /** Milliseconds of the whole deploy. */
  total: number;
  rehearsal: number;
  requests: number;
  failed: number;
}

const origin = startOrigin(shopFiles('v0'));

await withServers(async ({ signal, open }) => {
  await open(() => origin);
  const folder = mkdtempSync(join(tmpdir(), 'muva-bench-'));
  await open(() => ({ stop: () => rmSync(folder, { recursive: true, force: true }) }));
  const vps = await open(() => startVps(origin, { installed: false }));
  const killAll = (): void => {
    for (const pid of vps.processes()) kill(pid);
  };
  signal.addEventListener('abort', killAll, { once: true });
  console.log('building the application once ...');
  await installNext(vps, origin);
  const sshd = await open(() => startSshd({ home: vps.home, environment: vps.env }));
  const postgres = await open(() => startPostgres());
  const databaseUrl = await postgres.createDatabase();

  const files: Record<string, string> = {};
  let run = 0;
  const deploy = async (order: Order): Promise<Lead> => {
    run += 1;
    for (const part of ['a', 'b', 'c']) {
      const number = String(Object.keys(files).length).padStart(6, '0');
      files[`20250101${number}_${part}.sql`] =
        `create table t${run}_${part} (id int primary key, name text);`;
    }
    const workspace = jobWith(files);
    await open(() => ({ stop: () => rmSync(workspace, { recursive: true, force: true }) }));
    origin.commit(nextVersion(`v${run}`));
    const watched = watch(vps);
    const started = performance.now();
    const result = await runBundle({
      workspace,
      env: { RUNNER_TEMP: folder, GITHUB_RUN_ID: String(run) },
      inputs: {
        mode: 'deploy',
        ref: origin.head(),
        'database-url': databaseUrl,
        'migrate-before': order,
        'ssh-host': sshd.host,
        'ssh-port': String(sshd.port),
        'ssh-user': sshd.user,
        'ssh-private-key': sshd.privateKey,
        'ssh-fingerprint': sshd.fingerprint,
        'app-path': vps.appPath,
        'app-name': vps.appName,
        'health-from': 'vps',
      },
      cancelAfter: signal,
      force: true,
    });
    const total = performance.now() - started;
    const { requests, failed, failures } = await watched.stop();
    signal.throwIfAborted();
    if (result.exitCode !== 0) throw new Error(`the action ended with ${result.exitCode}:\n${result.log}`);
    const report = JSON.parse(readFileSync(result.outputs.report!, 'utf8')) as {
      phases: { steps: { name: string; 'duration-ms': number }[] }[];
    };
    const rehearsal = report.phases.flatMap(({ steps }) => steps).find(({ name }) => name === 'rehearsal');
    const schemaLeadMs = Number(result.outputs['schema-lead-ms']);
    console.log(`${order}: schema-lead-ms ${schemaLeadMs}, ${failed} of ${requests} requests failed`);
    for (const failure of failures.slice(0, 3)) console.log(`  ${failure}`);
    return { schemaLeadMs, total, rehearsal: rehearsal?.['duration-ms'] ?? 0, requests, failed };
  };
  const results = await interleaved(rounds, [
    { name: 'cutover' as Order, run: () => deploy('cutover') },
    { name: 'build' as Order, run: () => deploy('build') },
  ]);
  const leads = (order: Order): number[] => results.get(order)!.map(({ schemaLeadMs }) => schemaLeadMs);
  const rows = [...results].map(([order, all]) => [
    `\`migrate-before: ${order}\``,
    spread(all.map(({ schemaLeadMs }) => schemaLeadMs)),
    spread(all.map(({ schemaLeadMs, rehearsal }) => schemaLeadMs - rehearsal)),
    spread(all.map(({ total }) => total)),
    `${sum(all.map(({ failed }) => failed))} of ${sum(all.map(({ requests }) => requests)).toLocaleString('en')}`,
  ]);
  const part = median(leads('cutover')) / median(leads('build'));
  writeSection(
    `schema-lead ${rounds}`,
    'Redeploy: the old code on the new schema',
    [
      'A Next.js application that PM2 runs in cluster mode, one server, three additive migrations, while visitors come. For so long',
      `the old code meets the new schema (\`schema-lead-ms\`). ${rounds} rounds; the order \`cutover\` needs ${(part * 100).toFixed(1)} % of the other.`,
      '',
      table(['', 'schema-lead-ms', 'beside the rehearsal', 'whole deploy', 'failed requests'], rows),
      '',
      `The longest of the order \`cutover\`: ${milliseconds(Math.max(...leads('cutover')))}.`,
    ].join('\n'),
  );
});

function sum(values: readonly number[]): number {
  return values.reduce((all, value) => all + value, 0);
}
