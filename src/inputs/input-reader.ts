import { INPUTS, type InputName, type ReadInput, type ReadValue } from './input-sources.js';
import type { InputProblem } from './settings.js';

/** Reads typed values and gathers every complaint instead of stopping at the first. */
export interface InputReader {
  readonly problems: readonly InputProblem[];
  readonly warnings: readonly InputProblem[];
  complain(name: InputName, wrong: string, right: string): void;
  /** Complains, and takes no further complaint about this input: each would be about the same mistake again. */
  refuse(name: InputName, wrong: string, right: string): void;
  /** Something that a person should know and that is no reason to refuse the run. */
  warn(name: InputName, wrong: string, right: string): void;
  /** True where one of these inputs has been complained about. */
  complained(...names: InputName[]): boolean;
  /** Reads an input as its kind in the table says, and complains where it is not of that kind. */
  value<Name extends InputName>(name: Name): ReadValue<Name>;
}

/** An input reader over one source of raw strings. */
export function inputReader(read: ReadInput): InputReader {
  const problems: InputProblem[] = [];
  const warnings: InputProblem[] = [];
  const refused = new Set<InputName>();
  const complain = (input: InputName, wrong: string, right: string): void => {
    const message = `${input}: ${wrong}`;
    // An input that several parts read is wrong once.
    const told = problems.some((problem) => problem.message === message);
    if (!refused.has(input) && !told) problems.push({ input, message, next: right });
  };
  return {
    problems,
    warnings,
    complain,
    refuse(name, wrong, right) {
      complain(name, wrong, right);
      refused.add(name);
    },
    warn: (input, wrong, right) => void warnings.push({ input, message: `${input}: ${wrong}`, next: right }),
    complained: (...names) => problems.some(({ input }) => names.includes(input)),
    value: (name) =>
      INPUTS[name].read({ value: read(name), complain: (wrong, right) => complain(name, wrong, right) }),
  };
}
