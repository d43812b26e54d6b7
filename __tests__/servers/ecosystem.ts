import type { Vps } from './vps.js';

/** Texts of an ecosystem file, as the small application is run, with more or other keys. */
export function ecosystem(vps: Vps): (more: Readonly<Record<string, unknown>>) => string {
  return (more) => {
    const entry = {
      name: vps.appName,
      script: './server.js',
      cwd: vps.appPath,
      exec_mode: 'fork',
      kill_timeout: 10_000,
      env: { PORT: vps.port },
      ...more,
    };
    // A path of the folder in which the file lies is another one in each stage, and no change.
    const mine = `{ ...${JSON.stringify(entry)}, error_file: __dirname + '/dist/error.log' }`;
    return `module.exports = { apps: [{ name: 'worker', script: 'worker.js' }, ${mine}] };\n`;
  };
}

interface ListedProgram {
  name: string;
  pid: number;
  pm2_env: Record<string, unknown>;
}

/** What PM2 runs. */
export async function entriesOn(vps: Vps): Promise<ListedProgram[]> {
  const { stdout } = await vps.run('pm2 jlist');
  const line = stdout.split('\n').find((text) => text.startsWith('[{')) ?? '[]';
  return JSON.parse(line) as ListedProgram[];
}

/** What PM2 has stored of the first program that it runs. */
export async function entryOn(vps: Vps): Promise<Record<string, unknown>> {
  const [listed] = await entriesOn(vps);
  if (listed === undefined) throw new Error('PM2 runs nothing');
  return listed.pm2_env;
}
