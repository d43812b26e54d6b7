import type { OutgoingHttpHeaders } from 'node:http';
import { definedOnly } from '../../lib/defined-only.js';
import { VERIFIED_TLS } from '../../lib/verified-tls.js';

export interface ApiAnswer {
  status: number;
  contentType: string;
  /** Seconds that the server asks to wait; undefined where it does not say. */
  retryAfter: number | undefined;
  body: string;
}

export interface ApiRequest {
  url: string;
  method: 'GET' | 'POST';
  headers: OutgoingHttpHeaders;
  body?: string;
  caCertificate?: string;
  /** Milliseconds for the whole exchange. */
  deadline: number;
  signal?: AbortSignal;
}

/** A longer answer is broken off, in bytes: the largest that is asked for, a schema's objects, has a few million. */
const LONGEST_ANSWER = 64 * 1024 * 1024;

/** No connection was made, so nothing was asked of the server. */
export class NotSent extends Error {
  readonly code: string;
  constructor(code: string) {
    super(`no connection was made: ${code}`);
    this.name = 'NotSent';
    this.code = code;
  }
}

/** One HTTP exchange; node:https and not fetch, because fetch cannot be given a certificate authority. */
export async function exchangeHttp(request: ApiRequest): Promise<ApiAnswer> {
  const secure = request.url.startsWith('https:');
  const [{ request: start }, tls] = await Promise.all([
    secure ? import('node:https') : import('node:http'),
    import('./tls.js'),
  ]);
  return new Promise((resolve, reject) => {
    let connected = false;
    const outgoing = start(
      request.url,
      {
        method: request.method,
        headers: {
          ...request.headers,
          ...(request.body === undefined ? {} : { 'content-length': Buffer.byteLength(request.body) }),
        },
        // An agent would keep the connection, and a kept connection may be dead by the next message.
        agent: false,
        ...VERIFIED_TLS,
        ...definedOnly({ signal: request.signal }),
        ...(secure && request.caCertificate !== undefined
          ? { ca: [...tls.trusted(), request.caCertificate] }
          : {}),
      },
      (response) => {
        const chunks: Buffer[] = [];
        let length = 0;
        response.on('data', (chunk: Buffer) => {
          chunks.push(chunk);
          length += chunk.length;
          if (length > LONGEST_ANSWER) breakOff('TOO_LONG', 'the answer is longer than 64 MB');
        });
        response.on('error', fail);
        response.on('end', () => {
          clearTimeout(timer);
          resolve({
            status: response.statusCode ?? 0,
            contentType: response.headers['content-type'] ?? '',
            retryAfter: Number(response.headers['retry-after']) || undefined,
            body: Buffer.concat(chunks).toString('utf8'),
          });
        });
      },
    );
    const timer = setTimeout(() => breakOff('DEADLINE', 'no answer in time'), request.deadline);
    const fail = (error: Error & { code?: string }): void => {
      clearTimeout(timer);
      reject(connected ? error : new NotSent(error.code ?? 'ENDED'));
    };
    const breakOff = (code: string, why: string): void => {
      fail(Object.assign(new Error(why), { code }));
      outgoing.destroy();
    };
    outgoing.on('socket', (socket) => {
      socket.once(secure ? 'secureConnect' : 'connect', () => {
        connected = true;
      });
    });
    outgoing.on('error', fail);
    outgoing.end(request.body);
  });
}
