import { createInterface } from 'node:readline/promises';

/** Asks a question; undefined once the person has left with Ctrl-C or Ctrl-D. */
export type AskPerson = (question: string) => Promise<string | undefined>;

/** Lets `work` ask questions on a terminal. */
export async function withQuestions<T>(
  input: NodeJS.ReadableStream,
  output: NodeJS.WritableStream,
  work: (ask: AskPerson) => Promise<T>,
): Promise<T> {
  const lines = createInterface({ input, output });
  // Both keys close it. Whether the question is then rejected or never answered depends on Node's version.
  const left = new Promise<undefined>((resolve) => lines.once('close', () => resolve(undefined)));
  try {
    return await work((question) => Promise.race([left, lines.question(question).catch(() => undefined)]));
  } finally {
    lines.close();
  }
}
