import { randomUUID } from 'node:crypto';
import { debug, endGroup, info, startGroup } from '@actions/core';
import type { Sink } from '../base/teller.js';

/**
 * The runner's log. Output of programs is shown inside a group, with workflow commands stopped under a token
 * that the program cannot know: otherwise a build could set our outputs or mask words out of the log.
 */
export function githubSink(): Sink {
  let token = '';
  return {
    line: info,
    debug,
    openOutput(source) {
      token = randomUUID();
      startGroup(source);
      info(`::stop-commands::${token}`);
    },
    outputLine: info,
    closeOutput() {
      info(`::${token}::`);
      endGroup();
    },
  };
}
