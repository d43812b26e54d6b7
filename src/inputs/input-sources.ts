import { type Input, TABLE } from './table.js';

export type InputName = keyof typeof TABLE;

/** What each input is read as; undefined where it has no default and nothing is given. */
type InputValues = { readonly [Name in InputName]: ReturnType<(typeof TABLE)[Name]['read']> };

/** What reading an input gives. */
export type ReadValue<Name extends InputName> = InputValues[Name];

/** The value of an input that is given. */
export type InputValue<Name extends InputName> = NonNullable<InputValues[Name]>;

/** The inputs whose value is one text, or none. */
export type TextInput = {
  [Name in InputName]: string extends InputValues[Name] ? Name : never;
}[InputName];

export const INPUTS: { readonly [Name in InputName]: Input<InputValues[Name]> } = TABLE;
export const INPUT_NAMES = Object.keys(INPUTS) as InputName[];

export function inputRule(name: InputName): Input<unknown> {
  return INPUTS[name];
}

/** Where a value comes from: the GitHub entry point reads INPUT_*, the terminal entry point reads flags. */
export type ReadInput = (name: InputName) => string;

/** Adds the environment variables and defaults behind a entry point's own source; the entry point's value wins. */
export function withEnvironment(read: ReadInput, env: NodeJS.ProcessEnv): ReadInput {
  return (name) => {
    const rule = inputRule(name);
    const tidy = (value: string): string => (rule.verbatim ? value : value.trim());
    const given = tidy(read(name));
    if (given.trim() !== '') return given;
    for (const variable of rule.env) {
      const value = tidy(env[variable] ?? '');
      if (value.trim() !== '') return value;
    }
    return rule.fallback;
  };
}
