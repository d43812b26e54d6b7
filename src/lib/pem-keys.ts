/** Keys in PEM as people paste them into a secret: on one line, quoted, with escaped line breaks, or as base64 of the file. */

/** Undoes quotes, escaped or foreign line breaks, and base64 around the whole. */
export function unpackKeyText(text: string): string {
  let plain = text.replace(/^\uFEFF/, '').trim();
  const quoted = /^(["'`])([\s\S]*)\1$/.exec(plain);
  if (quoted) plain = quoted[2]!;
  plain = plain
    .replace(/\\r\\n|\\n|\\r/g, '\n')
    .replace(/\r\n?/g, '\n')
    .trim();
  const compact = plain.replace(/\s+/g, '');
  if (plain.includes('-----') || !/^[A-Za-z0-9+/]{40,}={0,2}$/.test(compact)) return plain;
  const decoded = Buffer.from(compact, 'base64');
  if (decoded.subarray(0, 14).toString('latin1') === 'openssh-key-v1')
    return `-----BEGIN OPENSSH PRIVATE KEY-----\n${compact}\n-----END OPENSSH PRIVATE KEY-----`;
  const inner = decoded.toString('utf8').replace(/\r\n?/g, '\n').trim();
  return inner.includes('-----BEGIN') || inner.startsWith('PuTTY-User-Key-File') ? inner : plain;
}

/** One block of a PEM file, from its BEGIN to its END line. */
export interface PemBlock {
  label: string;
  /** What DEK-Info says, in the old encrypted form. */
  info?: string;
  /** What stands between the first and the last line, without white space; of a whole key nothing but base64. */
  base64: string;
}

const BLOCKS = /-----BEGIN ([A-Z0-9 ]+)-----([\s\S]*?)-----END \1-----/g;
/** The length is fixed, because on one line the base64 follows at once and may begin like hex. */
const DEK_INFO = /DEK-Info:\s*(AES-\d+-[A-Z]+,[0-9A-Fa-f]{32}|DES[A-Z0-9-]*,[0-9A-Fa-f]{16})/;

/** The blocks of an unpacked text that have both ends. */
export function pemBlocks(text: string): PemBlock[] {
  return [...text.matchAll(BLOCKS)].map(([, label, body]) => ({ label: label!, ...inside(body!) }));
}

/** The old encrypted PEM has two header lines in front of its base64. */
function inside(body: string): Omit<PemBlock, 'label'> {
  const info = DEK_INFO.exec(body);
  const base64 = (info ? body.slice(info.index + info[0].length) : body).replace(/\s+/g, '');
  return { ...(info ? { info: info[1]! } : {}), base64 };
}

/** Private keys, also without their END line: what is there of a key that was cut off must be hidden too. */
const PRIVATE_KEYS = /-----BEGIN [A-Z0-9 ]*PRIVATE KEY-----([\s\S]*?)(?:-----END|$)/g;

/** Characters of a line as OpenSSL, OpenSSH and `base64` write it. */
const WIDTHS = [64, 70, 76];
/** Characters. A shorter last line is no secret by itself, and turns up in other texts by chance. */
const SHORTEST_LINE = 12;

/** The base64 of every private key in a text, whole and by the lines of its file, however the text was pasted. */
export function keyLines(text: string): string[] {
  const bodies = [...unpackKeyText(text).matchAll(PRIVATE_KEYS)].map(([, body]) => inside(body!).base64);
  return bodies
    .flatMap((base64) => [base64, ...WIDTHS.flatMap((width) => cut(base64, width))])
    .filter((line) => line.length >= SHORTEST_LINE);
}

/** The file of the private keys in a text, however they were pasted; undefined where it holds none. */
export function keyFile(text: string): string | undefined {
  const file = unpackKeyText(text);
  return file.search(PRIVATE_KEYS) < 0 ? undefined : file;
}

function cut(text: string, width: number): string[] {
  const lines: string[] = [];
  for (let at = 0; at < text.length; at += width) lines.push(text.slice(at, at + width));
  return lines;
}
