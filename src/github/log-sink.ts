import { randomUUID } from 'node:crypto';
import type { LogSink } from '../report/log-printer.js';
import { printLine, workflowCommand } from './workflow-commands.js';

/**
 * The runner's log. Output of programs is shown inside a group, with workflow commands stopped under a token
 * that the program cannot know: otherwise a build could set our outputs or mask words out of the log.
 */
export function githubSink(): LogSink {
  let token = '';
  return {
    line: printLine,
    debug: (text) => workflowCommand('debug', text),
    openOutput(source) {
      token = randomUUID();
      workflowCommand('group', source);
      workflowCommand('stop-commands', token);
    },
    outputLine: printLine,
    closeOutput() {
      workflowCommand(token);
      workflowCommand('endgroup');
    },
  };
}
