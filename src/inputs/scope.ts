import type { ReadInput } from './input-sources.js';
import type { Mode, Part } from './settings.js';

/** What a run works with. */
export interface RunScope {
  readonly database: boolean;
  readonly vps: boolean;
  /** The application and the REST endpoint are asked, or it is said whether a deploy could. */
  readonly health: boolean;
  /** The public URL: asked, or named by a GitHub Deployment. */
  readonly url: boolean;
}

/**
 * The parts that a mode works with and `skip` does not leave out. What a run does not use is not read: connections
 * often stand in the environment of the whole job, and what is wrong with one of them must not stop a step that never
 * touches it.
 */
export function scopeOf(mode: Mode, skip: readonly Part[], read: ReadInput): RunScope {
  const server: Readonly<Record<Mode, boolean>> = {
    plan: true,
    deploy: true,
    redeploy: true,
    rollback: true,
    status: true,
    verify: false,
    migrate: makesBackup(mode, read) && read('backup-to') !== 'runner',
    health: read('health-from') !== 'runner',
  };
  return {
    database: mode !== 'redeploy' && !skip.includes('database'),
    vps: server[mode] && !skip.includes('vps'),
    health: asksHealth(mode) && !skip.includes('health'),
    url: asksHealth(mode) || mode === 'redeploy',
  };
}

function asksHealth(mode: Mode): boolean {
  return mode === 'plan' || mode === 'deploy' || mode === 'health';
}

export function makesBackup(mode: Mode, read: ReadInput): boolean {
  return (mode === 'plan' || mode === 'deploy' || mode === 'migrate') && read('backup') !== 'off';
}

/** True where a server is given that this run works with. */
export function hasServer(scope: RunScope, read: ReadInput): boolean {
  return scope.vps && read('ssh-host') !== '';
}
