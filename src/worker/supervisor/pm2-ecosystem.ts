import { join } from 'node:path';
import { Failure } from '../../lib/report.js';
import { isFile } from '../host/files.js';
import { must, type Toolbox } from '../host/toolbox.js';
import type { Reporter } from '../run/reporter.js';
import type { Config } from './pm2-config.js';

const FILES = ['ecosystem.config.js', 'ecosystem.config.cjs', 'ecosystem.config.json'];

export interface EcosystemQuestion {
  tools: Toolbox;
  /** The folder that holds the file. */
  stage: string;
  appName: string;
  environment: string | undefined;
  reporter: Pick<Reporter, 'progress' | 'warn'>;
}

/** The application in the ecosystem file of a commit, with the variables of its environment; undefined without a file. */
export async function readEcosystem(question: EcosystemQuestion): Promise<Config | undefined> {
  const { tools, stage, appName, environment, reporter } = question;
  const file = FILES.find((name) => isFile(join(stage, name)));
  if (file === undefined) return undefined;
  const program = `const all = require(${JSON.stringify(join(stage, file))}); process.stdout.write('\\n' + JSON.stringify(all.apps ?? all));`;
  const out = await must(tools, ['node', '-e', program], { cwd: stage, timeout: 20_000 });
  const apps: unknown = JSON.parse(out.slice(out.lastIndexOf('\n') + 1));
  const list = (Array.isArray(apps) ? apps : [apps]) as Config[];
  const app = list.find(({ name }) => name === appName);
  if (!app)
    throw new Failure({
      message: `${file} has no application named "${appName}".`,
      next: 'Correct app-name or the ecosystem file, or give start-command.',
    });
  const { env, used, unused } = startEnvironment(app, environment);
  if (used !== undefined) reporter.progress(`${file}: ${used} is laid over env, as environment says`);
  else if (unused.length > 0)
    reporter.warn({
      message: `${file} has ${unused.join(', ')} for "${appName}", and ${
        environment === undefined ? 'no environment is given' : `environment is ${environment}`
      }: it is started with env alone.`,
      next: `If one of them is meant, give its name as environment (${unused[0]!.slice(ENV_BLOCK.length)}), or put its values into env.`,
    });
  return { ...app, env };
}

const ENV_BLOCK = 'env_';

/**
 * The variables of an application in an ecosystem file: `env`, and over it the block named after the environment, as
 * `pm2 start --env <environment>` takes them. PM2 itself takes no block without being told.
 */
export function startEnvironment(
  app: Config,
  environment: string | undefined,
): { env: Record<string, unknown>; used?: string; unused: string[] } {
  const block = (name: string): Record<string, unknown> => {
    const value = app[name];
    return typeof value === 'object' && value !== null ? { ...value } : {};
  };
  const names = Object.keys(app).filter((name) => name.startsWith(ENV_BLOCK));
  const used = names.find((name) => name === ENV_BLOCK + environment);
  const port = app.port === undefined ? {} : { PORT: app.port };
  if (used === undefined) return { env: { ...block('env'), ...port }, unused: names };
  return {
    env: { ...block('env'), ...block(used), ...port },
    used,
    unused: names.filter((name) => name !== used),
  };
}
