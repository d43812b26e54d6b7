import { randomUUID } from 'node:crypto';
import type { Sink } from '../base/teller.js';
import { command, say } from './commands.js';

/**
 * The runner's log. Output of programs is shown inside a group, with workflow commands stopped under a token
 * that the program cannot know: otherwise a build could set our outputs or mask words out of the log.
 */
export function githubSink(): Sink {
  let token = '';
  return {
    line: say,
    debug: (text) => command('debug', text),
    openOutput(source) {
      token = randomUUID();
      command('group', source);
      command('stop-commands', token);
    },
    outputLine: say,
    closeOutput() {
      command(token);
      command('endgroup');
    },
  };
}
