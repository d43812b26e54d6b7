import { createPrivateKey, type KeyObject } from 'node:crypto';
import { definedOnly } from '../../lib/defined-only.js';
import { pemBlocks, unpackKeyText } from '../../lib/pem-keys.js';
import { Failure } from '../../lib/report.js';

/**
 * Turns what people paste into a secret back into a private key that the SSH client reads. Secrets lose their line
 * breaks, gain CR, quotes or indentation, or come as base64; what cannot be repaired is named by its format.
 */

export interface PrivateKey {
  /** A PEM text with clean lines. */
  pem: string;
  /** Undefined where the key is not encrypted (any more). */
  passphrase?: string;
}

interface Wrong {
  wrong: string;
  right: string;
}

const PASTE =
  'Put the whole private key file into the secret, from -----BEGIN to -----END, for example with: gh secret set VPS_SSH_KEY < ~/.ssh/id_ed25519';

/** Repairs and reads the key; throws a Failure that says what it is instead. The key itself is in no message. */
export async function readPrivateKey(text: string, passphrase?: string): Promise<PrivateKey> {
  const framed = repairKeyText(text);
  if ('wrong' in framed) throw keyFailure(framed);
  const read = OWN_FORMS.test(framed.label) ? asItIs : fromPkcs8;
  // A secret store may have added a newline to the passphrase, so it is tried without one too.
  const given = await read(framed.pem, passphrase);
  if (!('wrong' in given)) return given;
  const trimmed = passphrase === undefined ? given : await read(framed.pem, passphrase.trim());
  if ('wrong' in trimmed) throw keyFailure(given);
  return trimmed;
}

const OWN_FORMS = /^(OPENSSH|RSA|EC|DSA) PRIVATE KEY$/;

/** A form that the client reads itself. */
async function asItIs(pem: string, passphrase: string | undefined): Promise<PrivateKey | Wrong> {
  const cipher = cipherOf(pem);
  if (cipher !== undefined && UNREADABLE.has(cipher)) return otherCipher(cipher);
  const { utils } = (await import('ssh2')).default;
  const parsed = utils.parseKey(pem, passphrase);
  // The old encryption has no checksum: a wrong passphrase mostly shows as nonsense inside.
  const legacy = passphrase !== undefined && pem.includes('DEK-Info:');
  if (parsed instanceof Error) return explainParseError(legacy ? 'bad passphrase' : parsed.message);
  return { pem, ...definedOnly({ passphrase }) };
}

/** Ciphers that the client lists, and fails to open keys with. */
const UNREADABLE = new Set(['chacha20-poly1305@openssh.com']);

/** The cipher named inside an OpenSSH key: `none`, `aes256-ctr`. */
function cipherOf(pem: string): string | undefined {
  const blob = Buffer.from(/KEY-----\n([\s\S]*?)\n-----END/.exec(pem)?.[1] ?? '', 'base64');
  const magic = 'openssh-key-v1\0';
  if (blob.subarray(0, magic.length).toString('latin1') !== magic || blob.length < magic.length + 4)
    return undefined;
  const length = blob.readUInt32BE(magic.length);
  return blob.subarray(magic.length + 4, magic.length + 4 + length).toString('latin1');
}

function otherCipher(cipher: string): Wrong {
  return {
    wrong: `is encrypted with ${cipher}, which cannot be read`,
    right: 'Write it with another cipher: ssh-keygen -p -Z aes256-ctr -f <key file>',
  };
}

/** What the client's key parser says, in words for the person who set the secret. */
function explainParseError(message: string): Wrong {
  if (/no passphrase given/i.test(message)) {
    return {
      wrong: 'is encrypted, and ssh-passphrase is empty',
      right: 'Set ssh-passphrase, or use a key of its own without a passphrase for deploys.',
    };
  }
  if (/bad passphrase|integrity check|bad decrypt|decrypt|unable to authenticate/i.test(message)) {
    return {
      wrong: 'is encrypted, and ssh-passphrase does not open it',
      right: 'Try it where the key was made: ssh-keygen -y -f <key file>',
    };
  }
  if (/unsupported/i.test(message)) {
    return {
      wrong: 'is of a type or cipher that cannot be used',
      right: "Make a new one: ssh-keygen -t ed25519 -N '' -f deploy_key",
    };
  }
  return { wrong: 'is damaged: its content does not fit its frame', right: PASTE };
}

/** The PEM text and its label, with the damage of copying undone; pure. */
function repairKeyText(text: string): { pem: string; label: string } | Wrong {
  const plain = unpackKeyText(text);
  // openssl writes EC PARAMETERS in front of the key, and people paste certificates and .pub lines beside it.
  const blocks = pemBlocks(plain);
  const block = blocks.find(({ label }) => label.endsWith('PRIVATE KEY'));
  if (block === undefined) return notAKey(plain, blocks[0]?.label);
  const { label, info, base64 } = block;
  if (!/^[A-Za-z0-9+/]+={0,2}$/.test(base64))
    return { wrong: 'is damaged: between its first and last line stands more than base64', right: PASTE };
  const headers = info === undefined ? [] : ['Proc-Type: 4,ENCRYPTED', `DEK-Info: ${info}`, ''];
  const lines = [...headers, ...(base64.match(/.{1,64}/g) ?? [])];
  return { pem: `-----BEGIN ${label}-----\n${lines.join('\n')}\n-----END ${label}-----\n`, label };
}

/** What a text without a whole private key is instead; `label`: of the first thing in it that is whole. */
function notAKey(plain: string, label: string | undefined): Wrong {
  const cut = { wrong: 'is cut off: it has no matching -----END line', right: PASTE };
  if (/-----BEGIN [A-Z0-9 ]*PRIVATE KEY/.test(plain)) return cut;
  const foreign = otherFormat(plain);
  if (foreign) return foreign;
  if (label?.endsWith('PUBLIC KEY')) return { wrong: 'is a public key', right: PASTE };
  if (label !== undefined) return { wrong: `is not a private key but ${label.toLowerCase()}`, right: PASTE };
  if (plain.includes('-----BEGIN')) return cut;
  return { wrong: 'is not a private key: it has no -----BEGIN line', right: PASTE };
}

function otherFormat(text: string): Wrong | undefined {
  if (text.startsWith('PuTTY-User-Key-File')) {
    return {
      wrong: "is in PuTTY's own format (PPK)",
      right:
        'Convert it: puttygen key.ppk -O private-openssh -o key   and put the content of the new file here.',
    };
  }
  if (
    /^(ssh-(rsa|dss|ed25519)|ecdsa-sha2-\S+|sk-\S+@openssh\.com) AAAA/.test(text) ||
    /^---- BEGIN SSH2 PUBLIC/.test(text)
  )
    return { wrong: 'is a public key', right: PASTE };
  if (/^SHA256:/.test(text))
    return { wrong: 'is a fingerprint, which belongs into ssh-fingerprint', right: PASTE };
  if (/^(~|\.{0,2}\/)[^\n]*$/.test(text)) return { wrong: 'is the path of a file', right: PASTE };
  return undefined;
}

/** PKCS#8 (openssl genpkey, cloud consoles) in a form that the client reads. */
async function fromPkcs8(pem: string, passphrase: string | undefined): Promise<PrivateKey | Wrong> {
  const encrypted = pem.includes('-----BEGIN ENCRYPTED');
  if (encrypted && passphrase === undefined) return explainParseError('no passphrase given');
  let key: KeyObject;
  try {
    key = createPrivateKey({ key: pem, format: 'pem', ...definedOnly({ passphrase }) });
  } catch {
    return explainParseError(encrypted ? 'bad passphrase' : '');
  }
  switch (key.asymmetricKeyType) {
    case 'rsa':
      return { pem: key.export({ type: 'pkcs1', format: 'pem' }).toString() };
    case 'ec':
      return { pem: key.export({ type: 'sec1', format: 'pem' }).toString() };
    case 'ed25519':
      return { pem: opensshEd25519(key) };
    default:
      return explainParseError('unsupported');
  }
}

/** The OpenSSH form of an ed25519 key (PROTOCOL.key of OpenSSH), which Node cannot export. */
function opensshEd25519(key: KeyObject): string {
  const jwk = key.export({ format: 'jwk' });
  const seed = Buffer.from(jwk.d!, 'base64url');
  const open = Buffer.from(jwk.x!, 'base64url');
  const type = field('ssh-ed25519');
  const check = Buffer.from([0, 0, 0, 1, 0, 0, 0, 1]);
  const inner = Buffer.concat([check, type, field(open), field(Buffer.concat([seed, open])), field('')]);
  const padding = Buffer.from(Array.from({ length: (8 - (inner.length % 8)) % 8 }, (_, index) => index + 1));
  const blob = Buffer.concat([
    Buffer.from('openssh-key-v1\0', 'latin1'),
    field('none'),
    field('none'),
    field(''),
    Buffer.from([0, 0, 0, 1]),
    field(Buffer.concat([type, field(open)])),
    field(Buffer.concat([inner, padding])),
  ]);
  const lines = blob.toString('base64').match(/.{1,70}/g) ?? [];
  return `-----BEGIN OPENSSH PRIVATE KEY-----\n${lines.join('\n')}\n-----END OPENSSH PRIVATE KEY-----\n`;
}

function field(value: string | Buffer): Buffer {
  const bytes = typeof value === 'string' ? Buffer.from(value, 'utf8') : value;
  const length = Buffer.alloc(4);
  length.writeUInt32BE(bytes.length);
  return Buffer.concat([length, bytes]);
}

function keyFailure({ wrong, right }: Wrong): Failure {
  return new Failure({ message: `ssh-private-key ${wrong}`, next: right });
}
