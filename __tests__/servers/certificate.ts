import { generateKeyPairSync, randomBytes, sign } from 'node:crypto';

export interface CertificateOptions {
  /** DNS names that it is for. */
  names?: string[];
  notBefore?: Date;
  notAfter?: Date;
}

/** A key and its self-signed certificate, both PEM. */
export interface KeyAndCertificate {
  key: string;
  cert: string;
}

export const DAY = 86_400_000;

/**
 * Makes a self-signed certificate with any dates and names, without openssl: the few DER structures of an X.509
 * certificate are written here. It is its own authority, so NODE_EXTRA_CA_CERTS can be told to trust it.
 */
export function makeCertificate(options: CertificateOptions = {}): KeyAndCertificate {
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'prime256v1' });
  const notBefore = options.notBefore ?? new Date(Date.now() - DAY);
  const notAfter = options.notAfter ?? new Date(Date.now() + 90 * DAY);
  const ecdsaWithSha256 = sequence(oid(1, 2, 840, 10045, 4, 3, 2));
  const commonName = sequence(set(sequence(oid(2, 5, 4, 3), der(0x0c, Buffer.from('muva test')))));
  const names = (options.names ?? ['localhost']).map((name) => der(0x82, Buffer.from(name)));
  const extensions = sequence(
    sequence(oid(2, 5, 29, 19), BOOLEAN_TRUE, octets(sequence(BOOLEAN_TRUE))),
    sequence(oid(2, 5, 29, 17), octets(sequence(...names))),
  );
  const toBeSigned = sequence(
    der(0xa0, integer(Buffer.from([2]))),
    integer(Buffer.concat([Buffer.from([1]), randomBytes(8)])),
    ecdsaWithSha256,
    commonName,
    sequence(time(notBefore), time(notAfter)),
    commonName,
    publicKey.export({ type: 'spki', format: 'der' }),
    der(0xa3, extensions),
  );
  const signature = sign('sha256', toBeSigned, privateKey);
  const certificate = sequence(
    toBeSigned,
    ecdsaWithSha256,
    der(0x03, Buffer.concat([Buffer.from([0]), signature])),
  );
  const lines = certificate.toString('base64').match(/.{1,64}/g)!;
  return {
    key: privateKey.export({ type: 'pkcs8', format: 'pem' }).toString(),
    cert: ['-----BEGIN CERTIFICATE-----', ...lines, '-----END CERTIFICATE-----', ''].join('\n'),
  };
}

function der(tag: number, ...parts: Buffer[]): Buffer {
  const content = Buffer.concat(parts);
  const length =
    content.length < 0x80
      ? [content.length]
      : content.length < 0x100
        ? [0x81, content.length]
        : [0x82, content.length >> 8, content.length & 0xff];
  return Buffer.concat([Buffer.from([tag, ...length]), content]);
}

const BOOLEAN_TRUE = der(0x01, Buffer.from([0xff]));

function sequence(...parts: Buffer[]): Buffer {
  return der(0x30, ...parts);
}

function set(...parts: Buffer[]): Buffer {
  return der(0x31, ...parts);
}

function octets(content: Buffer): Buffer {
  return der(0x04, content);
}

function integer(bytes: Buffer): Buffer {
  return der(0x02, bytes);
}

function time(date: Date): Buffer {
  const text = date.toISOString().replace(/[-:T]|\.\d+/g, '');
  // Years from 2050 on need the longer form.
  return date.getUTCFullYear() < 2050 ? der(0x17, Buffer.from(text.slice(2))) : der(0x18, Buffer.from(text));
}

function oid(first: number, second: number, ...rest: number[]): Buffer {
  const bytes = [first * 40 + second];
  for (const arc of rest) {
    const groups = [arc & 0x7f];
    for (let left = arc >> 7; left > 0; left >>= 7) groups.unshift((left & 0x7f) | 0x80);
    bytes.push(...groups);
  }
  return der(0x06, Buffer.from(bytes));
}
