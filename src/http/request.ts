import type { IncomingHttpHeaders, IncomingMessage } from 'node:http';
import type { Socket } from 'node:net';
import type { TLSSocket } from 'node:tls';
import { definedOnly } from '../lib/defined-only.js';
import { Cancelled, errorCode, type HealthFault, type Timings } from '../lib/report.js';
import { whenAborted } from '../lib/when-aborted.js';
import { LOOPBACK, lookupLoopback } from './loopback-lookup.js';
import { certificateWords, connectionWords, type RequestPart, timeoutWords } from './request-messages.js';

const DAY = 86_400_000;

/** How one request is made. */
export interface GetOptions {
  /** Milliseconds from the first packet to the last byte; nothing keeps a request alive beyond it. */
  timeout: number;
  /** Bytes of the body that are read; the rest is left unread. 0 reads the head only. */
  bodyLimit: number;
  headers?: Readonly<Record<string, string>>;
  signal?: AbortSignal;
}

/** What a server answered, and how long each part of the request took. */
export interface HttpAnswer {
  status: number;
  headers: IncomingHttpHeaders;
  body: Buffer;
  /** False where the body was longer than the limit. */
  whole: boolean;
  timings: Timings;
  /** Full days until the certificate runs out; undefined without TLS. */
  certificateDays?: number;
}

/** No usable answer: the message says why in words for a person, without any text from the server. */
export class NoAnswer extends Error {
  readonly fault: HealthFault;
  readonly timings: Timings;
  readonly code: string | undefined;
  readonly certificateDays: number | undefined;

  constructor(
    message: string,
    about: { fault: HealthFault; timings: Timings; code?: string | undefined; days?: number | undefined },
  ) {
    super(message);
    this.name = 'NoAnswer';
    this.fault = about.fault;
    this.timings = about.timings;
    this.code = about.code;
    this.certificateDays = about.days;
  }
}

type Protocols = Awaited<ReturnType<typeof loadProtocols>>;

/** Loaded with the first request: together they take as long to load as all of the action. */
async function loadProtocols() {
  const [http, net, tls, zlib] = await Promise.all([
    import('node:http'),
    import('node:net'),
    import('node:tls'),
    import('node:zlib'),
  ]);
  return { http, net, tls, zlib };
}

/** Where a request stands, and how long each part took until there. */
interface Journey {
  part: RequestPart;
  readonly timings: Timings;
  /** Ends a part; its duration counts from the end of the one before. */
  reached(part: Exclude<RequestPart, 'body'>): void;
  elapsed(): number;
}

function startJourney(): Journey {
  const started = performance.now();
  const order: RequestPart[] = ['dns', 'connect', 'tls', 'first-byte', 'body'];
  let last = started;
  const journey: Journey = {
    part: 'dns',
    timings: { dns: null, connect: null, tls: null, 'first-byte': null, total: 0 },
    reached(part) {
      const now = performance.now();
      journey.timings[part] = tenths(now - last);
      last = now;
      journey.part = order[order.indexOf(part) + 1]!;
    },
    elapsed: () => tenths(performance.now() - started),
  };
  return journey;
}

/**
 * One GET over a connection of its own, so that every part of the way is measured and nothing is reused.
 * IPv6 and IPv4 are tried as the name has them. Redirects are not followed.
 * @throws NoAnswer where no complete answer came in time; Cancelled when the signal fires.
 */
export async function get(url: URL, options: GetOptions): Promise<HttpAnswer> {
  const protocols = await loadProtocols();
  const journey = startJourney();
  // An address needs no name server, nor does this machine itself.
  if (isAddress(bareHost(url)) || bareHost(url) === LOOPBACK) journey.part = 'connect';
  if (options.signal?.aborted) throw new Cancelled();
  const socket = open(protocols, url);
  let stop: (reason: Error) => void = () => {};
  const stopped = new Promise<never>((_, reject) => {
    stop = reject;
  });
  stopped.catch(() => {});
  socket.on('error', stop);
  const timer = setTimeout(() => stop(timeoutError(journey, options.timeout)), options.timeout);
  const listenNoMore = whenAborted(options.signal, () => stop(new Cancelled()));
  try {
    const certificateDays = await Promise.race([stopped, connected(socket, url, journey)]);
    const response = await Promise.race([
      stopped,
      sendRequest(protocols, socket, url, options.headers ?? {}),
    ]);
    journey.reached('first-byte');
    const read = await Promise.race([stopped, readBody(response, options.bodyLimit)]);
    const { body, whole } = unpack(protocols, read, response.headers['content-encoding'], options.bodyLimit);
    journey.timings.total = journey.elapsed();
    return {
      status: response.statusCode ?? 0,
      headers: response.headers,
      body,
      whole,
      timings: journey.timings,
      ...definedOnly({ certificateDays }),
    };
  } catch (error) {
    journey.timings.total = journey.elapsed();
    throw explain(error, journey);
  } finally {
    clearTimeout(timer);
    listenNoMore();
    socket.destroy();
  }
}

function open({ net, tls }: Protocols, url: URL): Socket {
  const host = bareHost(url);
  const secure = url.protocol === 'https:';
  const target = {
    host,
    port: url.port === '' ? (secure ? 443 : 80) : Number(url.port),
    autoSelectFamily: true,
    autoSelectFamilyAttemptTimeout: 500,
    ...(host === LOOPBACK ? { lookup: lookupLoopback } : {}),
  };
  if (!secure) return net.connect(target);
  // The handshake is let through so that the certificate's dates can be told; `connected` judges it before
  // anything is sent. This also holds where the environment switches verification off.
  return tls.connect({
    ...target,
    rejectUnauthorized: false,
    ALPNProtocols: ['http/1.1'],
    ...(isAddress(host) ? {} : { servername: host }),
  });
}

/** Resolves to the certificate's remaining days (undefined without TLS) once the connection may be used. */
function connected(socket: Socket, url: URL, journey: Journey): Promise<number | undefined> {
  return new Promise((resolve, reject) => {
    socket.once('lookup', () => {
      if (journey.part === 'dns') journey.reached('dns');
    });
    socket.once('connect', () => {
      journey.reached('connect');
      if (url.protocol !== 'https:') {
        journey.part = 'first-byte';
        resolve(undefined);
      }
    });
    socket.once('secureConnect', () => {
      journey.reached('tls');
      const days = certificateDays(socket as TLSSocket);
      if ((socket as TLSSocket).authorized) resolve(days);
      else reject(certificateError(socket as TLSSocket, days, journey));
    });
    socket.once('close', () => reject(new Closed()));
  });
}

function certificateDays(socket: TLSSocket): number | undefined {
  const until = Date.parse(socket.getPeerCertificate().valid_to ?? '');
  return Number.isNaN(until) ? undefined : Math.floor((until - Date.now()) / DAY);
}

function certificateError(socket: TLSSocket, days: number | undefined, journey: Journey): NoAnswer {
  const reason: unknown = socket.authorizationError;
  const code =
    typeof reason === 'string' ? reason : ((reason as { code?: string } | null)?.code ?? 'unverified');
  return new NoAnswer(certificateWords(code, days), {
    fault: 'tls',
    timings: journey.timings,
    code,
    days,
  });
}

function sendRequest(
  { http }: Protocols,
  socket: Socket,
  url: URL,
  headers: Readonly<Record<string, string>>,
): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => {
    const request = http.request({
      method: 'GET',
      host: url.hostname,
      path: url.pathname + url.search,
      headers: {
        host: url.host,
        'user-agent': 'muva-deploy-action',
        accept: '*/*',
        'accept-encoding': 'identity',
        'cache-control': 'no-cache',
        connection: 'close',
        ...headers,
      },
      createConnection: () => socket,
    });
    request.once('response', resolve);
    request.on('error', reject);
    request.end();
  });
}

function readBody(response: IncomingMessage, limit: number): Promise<{ body: Buffer; whole: boolean }> {
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    let size = 0;
    const done = (whole: boolean): void => resolve({ body: Buffer.concat(chunks).subarray(0, limit), whole });
    response.on('error', reject);
    if (limit === 0) return done(false);
    response.on('data', (chunk: Buffer) => {
      chunks.push(chunk);
      size += chunk.length;
      if (size > limit) done(false);
    });
    response.once('end', () => done(true));
    response.once('close', () => reject(new Closed()));
  });
}

/** Some servers compress although they were asked not to. What cannot be unpacked stays as it came. */
function unpack(
  { zlib }: Protocols,
  read: { body: Buffer; whole: boolean },
  encoding: string | undefined,
  limit: number,
): { body: Buffer; whole: boolean } {
  const unpackers = {
    gzip: zlib.gunzipSync,
    'x-gzip': zlib.gunzipSync,
    deflate: zlib.inflateSync,
    br: zlib.brotliDecompressSync,
  };
  const unpacker = unpackers[(encoding ?? '').trim().toLowerCase() as keyof typeof unpackers];
  if (unpacker === undefined || read.body.length === 0) return read;
  try {
    return { body: unpacker(read.body, { maxOutputLength: limit }), whole: read.whole };
  } catch {
    return { body: read.body, whole: false };
  }
}

function timeoutError(journey: Journey, timeout: number): NoAnswer {
  return new NoAnswer(timeoutWords(journey.part, timeout), { fault: 'timeout', timings: journey.timings });
}

/** The other side closed the connection before its part was done. */
class Closed extends Error {}

/** An error of a connection as a NoAnswer, worded from its code and the part of the way that was reached. */
function explain(error: unknown, journey: Journey): unknown {
  if (error instanceof NoAnswer || error instanceof Cancelled) return error;
  const code = errorCode(error);
  // Anything else is a mistake in here, and must not pass for a fault of the server.
  if (code === undefined && !(error instanceof Closed)) return error;
  const { fault, words } = connectionWords(code, journey.part);
  return new NoAnswer(words, { fault, timings: journey.timings, code });
}

/** The host without the brackets of an IPv6 address. */
function bareHost(url: URL): string {
  return url.hostname.replace(/^\[|\]$/g, '');
}

function isAddress(host: string): boolean {
  return host.includes(':') || /^\d{1,3}(\.\d{1,3}){3}$/.test(host);
}

/** Milliseconds to a tenth: what is measured finer is noise. */
export function tenths(milliseconds: number): number {
  return Math.round(milliseconds * 10) / 10;
}
