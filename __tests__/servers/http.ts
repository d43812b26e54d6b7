import { createServer, type IncomingMessage, type RequestListener, type ServerResponse } from 'node:http';
import { createServer as createSecureServer } from 'node:https';
import { type AddressInfo, createServer as createTcpServer, type Socket } from 'node:net';

export interface HttpServerOptions {
  /** Default 127.0.0.1. */
  host?: string;
  port?: number;
  /** Serves TLS with this key and certificate. */
  tls?: { key: string; cert: string };
}

export interface HttpServer {
  readonly port: number;
  /** http(s)://127.0.0.1:port, or the given host. */
  readonly url: string;
  /** Paths in the order they were asked for. */
  readonly requests: string[];
}

/** Runs a real server for as long as `work` takes; connections that still hang are cut at the end. */
export async function withHttpServer<T>(
  listener: RequestListener,
  work: (server: HttpServer) => Promise<T>,
  options: HttpServerOptions = {},
): Promise<T> {
  const host = options.host ?? '127.0.0.1';
  const requests: string[] = [];
  const counted: RequestListener = (request, response) => {
    requests.push(request.url ?? '');
    listener(request, response);
  };
  const server = options.tls ? createSecureServer(options.tls, counted) : createServer(counted);
  const sockets = new Set<Socket>();
  server.on('connection', (socket: Socket) => {
    sockets.add(socket);
    socket.on('error', () => {});
    socket.once('close', () => sockets.delete(socket));
  });
  server.on('tlsClientError', () => {});
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(options.port ?? 0, host, resolve);
  });
  const { port } = server.address() as AddressInfo;
  const name = host.includes(':') ? `[${host}]` : host;
  try {
    return await work({ port, url: `${options.tls ? 'https' : 'http'}://${name}:${port}`, requests });
  } finally {
    for (const socket of sockets) socket.destroy();
    await new Promise((resolve) => server.close(resolve));
  }
}

/** A server that speaks bytes, not HTTP: for answers that no HTTP library would send. */
export async function withTcpServer<T>(
  onConnection: (socket: Socket) => void,
  work: (url: string, port: number) => Promise<T>,
): Promise<T> {
  const sockets = new Set<Socket>();
  const server = createTcpServer((socket) => {
    sockets.add(socket);
    socket.on('error', () => {});
    socket.once('close', () => sockets.delete(socket));
    onConnection(socket);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  try {
    return await work(`http://127.0.0.1:${port}`, port);
  } finally {
    for (const socket of sockets) socket.destroy();
    await new Promise((resolve) => server.close(resolve));
  }
}

export interface Page {
  status?: number;
  type?: string;
  headers?: Record<string, string>;
  body?: string;
}

export type Pages = Record<string, Page | ((request: IncomingMessage, response: ServerResponse) => void)>;

export const HTML = 'text/html; charset=utf-8';
export const JSON_TYPE = 'application/json';

/** The pages of a small healthy application: a root page with a script and a style, and a health endpoint. */
export const HEALTHY: Pages = {
  '/': {
    type: HTML,
    body: '<!doctype html><title>Shop</title><link rel="stylesheet" href="/a.css"><script src="/a.js"></script>',
  },
  '/a.css': { type: 'text/css', body: 'body{}' },
  '/a.js': { type: 'text/javascript', body: '1' },
  '/api/health': { type: JSON_TYPE, body: '{"status":"ok"}' },
};

/** Serves fixed pages; any other path is 404. */
export function serve(pages: Pages): RequestListener {
  return (request, response) => {
    const page = pages[(request.url ?? '').split('?')[0]!];
    if (typeof page === 'function') return page(request, response);
    if (page === undefined) {
      response.writeHead(404, { 'content-type': HTML }).end('<h1>404</h1>');
      return;
    }
    response.writeHead(page.status ?? 200, {
      ...(page.type === undefined ? {} : { 'content-type': page.type }),
      ...page.headers,
    });
    response.end(page.body ?? '');
  };
}

/** Sends a redirect. */
export function redirect(location: string, status = 307): Page {
  return { status, headers: { location } };
}

/** Sends the head of a good answer at once and then one byte every `every` milliseconds, without end. */
export function drip(every: number): (request: IncomingMessage, response: ServerResponse) => void {
  return (_request, response) => {
    response.writeHead(200, { 'content-type': JSON_TYPE });
    const timer = setInterval(() => response.write(' '), every);
    response.once('close', () => clearInterval(timer));
  };
}

/** Answers `good` once, then `bad` as often as `badInARow` says, and so on. */
export function flapping(good: Page, bad: Page, badInARow = 1): Pages[string] {
  let count = 0;
  return (request, response) => {
    const page = count++ % (badInARow + 1) === 0 ? good : bad;
    serve({ [(request.url ?? '').split('?')[0]!]: page })(request, response);
  };
}
