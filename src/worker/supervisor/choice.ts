import type { Toolbox } from '../host/toolbox.js';
import type { AppRequest } from '../protocol.js';
import { commandSupervisor } from './command.js';
import { pm2Supervisor } from './pm2.js';
import type { Supervisor } from './supervisor.js';

/** The supervisor of an application: the only place that knows which there are. */
export function supervisorOf(tools: Toolbox, app: AppRequest): Supervisor {
  return app.restartCommand === undefined
    ? pm2Supervisor(tools, app)
    : commandSupervisor(tools, app, app.restartCommand);
}
