import { Secret } from '../base/secret.js';
import type { ReadInput } from './inputs.js';
import type { InputReader } from './readers.js';

/** A key or token that travels in an HTTP header; undefined where none is given. Names no part of it. */
export function readKey(
  reader: InputReader,
  read: ReadInput,
  name: 'github-token' | 'supabase-access-token' | 'supabase-service-role-key',
): Secret | undefined {
  const value = read(name);
  if (value === '') return undefined;
  const stranger = /[^\x21-\x7e]/u.exec(value)?.[0];
  if (stranger !== undefined)
    reader.complain(
      name,
      `holds ${characterName(stranger)}, which no key or token has`,
      'Copy it again, as one line; a dashboard shows dots in its place until it is revealed.',
    );
  return new Secret(value);
}

function characterName(character: string): string {
  if (character === '\n' || character === '\r') return 'a line break';
  if (character === ' ') return 'a blank';
  return `U+${character.codePointAt(0)!.toString(16).toUpperCase().padStart(4, '0')}`;
}
