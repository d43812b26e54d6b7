import { inspect } from 'node:util';
import { keyFile, keyLines } from './pem-keys.js';

/**
 * A value that must never be printed. Printing, joining, serialising or inspecting it gives `***`;
 * only `reveal()` gives the text, and each secret is revealed in exactly one file, beside the
 * readers of the inputs, which check it.
 */
export class Secret {
  readonly #text: string;

  constructor(text: string) {
    this.#text = text;
  }

  reveal(): string {
    return this.#text;
  }

  toString(): string {
    return '***';
  }

  toJSON(): string {
    return '***';
  }

  [inspect.custom](): string {
    return '***';
  }
}

/** Values of at least this length are masked; shorter ones would blank ordinary words out of the log. */
const SHORTEST_MASKED = 4;

/**
 * Words so common that masking them would make a log unreadable and damage outputs: the runner replaces every
 * occurrence. Values of everyday settings, and the words in which this action tells how a run went.
 */
const COMMON_WORDS: ReadonlySet<string> = new Set(
  `test true false null none undefined default example changeme secret password token
  root main user admin public private anon authenticated service_role postgres supabase localhost
  local staging production development preview
  auto strict disabled enabled required optional info debug warn warning error json http https
  plan migrate verify redeploy health rollback deploy database
  success failure skipped passed failed cancelled unknown healthy`
    .split(/\s+/)
    .filter((word) => word !== ''),
);

/** True where a value is too short or too common to be masked on its own. */
export function isUnmaskable(value: string): boolean {
  return value.length < SHORTEST_MASKED || COMMON_WORDS.has(value.toLowerCase());
}

/**
 * Every text under which a secret could turn up: the value, each of its lines, its URL-decoded and
 * URL-encoded form, its JSON form, base64 in the three alignments, and hex; of a key in PEM, however it was pasted, the
 * lines of its file.
 * The runner derives some of these from `add-mask` itself, but not the decoded and hex ones.
 */
export function secretForms(value: string): string[] {
  const forms = new Set<string>();
  const add = (text: string): void => {
    if (!isUnmaskable(text)) forms.add(text);
  };
  // Without the white space around it: the end of a line that is masked with a secret would join it to the next one.
  const trimmed = value.trim();
  for (const text of [trimmed, ...value.split(/\r?\n/).map((line) => line.trim())]) {
    // A line such as "-----BEGIN OPENSSH PRIVATE KEY-----" is no secret, and masking it hides error messages.
    if (text.startsWith('-----')) continue;
    add(text);
  }
  for (const line of keyLines(value)) add(line);
  if (isUnmaskable(trimmed)) return [...forms];
  // Of a key also its file, which a program makes of it again.
  for (const text of new Set([trimmed, keyFile(value) ?? trimmed]))
    for (const form of encoded(text)) add(form);
  add(encodeURIComponent(trimmed));
  try {
    add(decodeURIComponent(trimmed));
  } catch {
    // Not URL-encoded: nothing to decode.
  }
  add(JSON.stringify(trimmed).slice(1, -1));
  return [...forms];
}

/** Hex, and base64 in the three alignments. */
function encoded(text: string): string[] {
  const bytes = Buffer.from(text, 'utf8');
  const forms = [bytes.toString('hex')];
  for (const shift of [0, 1, 2]) {
    // Without the characters whose bits depend on the bytes around, so that it is found inside any other text.
    const whole = Buffer.concat([Buffer.alloc(shift), bytes])
      .toString('base64')
      .replace(/=+$/, '');
    const start = shift === 0 ? 0 : shift + 1;
    const end = (bytes.length + shift) % 3 === 0 ? whole.length : whole.length - 1;
    const stable = whole.slice(start, end);
    if (stable.length >= 8) forms.push(stable);
  }
  return forms;
}
