import { after, before } from 'node:test';
import { makeReachable, type Reachable } from './deployment.js';
import { type Files, type Origin, startOrigin } from './origin.js';
import { startVps } from './vps.js';

/** A git remote with an application, and one server on which it is installed; both are there once tests run. */
export interface OneServer {
  readonly origin: Origin;
  readonly server: Reachable;
}

/** Starts both before the tests of the `describe` that it is called in, and stops them afterwards. */
export function oneServer(files: Files): OneServer {
  let origin: Origin | undefined;
  let server: Reachable | undefined;
  before(async () => {
    origin = startOrigin(files);
    server = await makeReachable(await startVps(origin));
  });
  after(async () => {
    await server?.stop();
    origin?.stop();
  });
  const started = <T>(value: T | undefined): T => {
    if (value === undefined) throw new Error('it is started before the first test, and not earlier');
    return value;
  };
  return {
    get origin() {
      return started(origin);
    },
    get server() {
      return started(server);
    },
  };
}
