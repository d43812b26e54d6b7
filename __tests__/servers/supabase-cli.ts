/** The real Supabase CLI, as people use it without this action. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { npmTool } from './npm-tool.js';
import type { Project } from './project.js';

/** The newest when this was written; 142 MB, nearly all of it one binary. */
export const SUPABASE_CLI = 'supabase@3.1.0';

interface CliRun {
  code: number | null;
  text: string;
}

export interface SupabaseCli {
  /** Runs `supabase <args>` in the project's folder against this database. */
  run(project: Pick<Project, 'folder'>, url: string, ...args: string[]): Promise<CliRun>;
  /** The path of the program itself. */
  program: string;
}

export async function installSupabaseCli(): Promise<SupabaseCli> {
  const folder = await npmTool(SUPABASE_CLI);
  const musl = existsSync(`/lib/ld-musl-${process.arch === 'x64' ? 'x86_64' : 'aarch64'}.so.1`)
    ? '-musl'
    : '';
  const platform = `cli-${process.platform}-${process.arch}${process.platform === 'linux' ? musl : ''}`;
  const program = join(folder, 'node_modules', '@supabase', platform, 'bin', 'supabase');
  if (!existsSync(program)) throw new Error(`${SUPABASE_CLI} has no program for this machine: ${program}`);
  return {
    program,
    async run({ folder: project }, url, ...args) {
      mkdirSync(join(project, 'supabase'), { recursive: true });
      writeFileSync(join(project, 'supabase', 'config.toml'), 'project_id = "x"\n');
      const child = spawn(program, [...args, '--agent', 'no', `--remote=${url}?sslmode=disable`], {
        cwd: project,
        // Its own settings and telemetry stay in the project's folder, and nothing of this machine's reaches it.
        env: { PATH: process.env.PATH ?? '', HOME: project, DO_NOT_TRACK: '1', NO_COLOR: '1' },
        stdio: ['ignore', 'pipe', 'pipe'],
      });
      let text = '';
      for (const stream of [child.stdout, child.stderr])
        stream.setEncoding('utf8').on('data', (chunk: string) => {
          text += chunk;
        });
      const [code] = (await once(child, 'close')) as [number | null];
      return { code, text };
    },
  };
}
