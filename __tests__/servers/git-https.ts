import { spawn } from 'node:child_process';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { createServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { basename, dirname } from 'node:path';
import { makeCertificate } from './certificate.js';

/** A private repository over HTTPS: git's own server program, behind a login. */
export interface GitHttps {
  /** `https://localhost:<port>`, what a job knows as its GitHub server. */
  readonly server: string;
  /** The repository's address. */
  readonly url: string;
  /** Of the certificate that clients must trust; PEM. */
  readonly cert: string;
  /** Logins that were offered, decoded: `user:password`. */
  readonly logins: string[];
  stop(): Promise<void>;
}

/** Serves one bare repository to whoever logs in as `x-access-token` with the token. */
export async function startGitHttps(repository: string, token: string): Promise<GitHttps> {
  const { key, cert } = makeCertificate();
  const logins: string[] = [];
  const server = createServer({ key, cert }, (request, response) => {
    const login = Buffer.from(/^Basic (.*)$/.exec(request.headers.authorization ?? '')?.[1] ?? '', 'base64');
    if (login.length > 0) logins.push(login.toString());
    if (login.toString() === `x-access-token:${token}`) return runGit(repository, request, response);
    response.writeHead(401, { 'www-authenticate': 'Basic realm="private"' }).end('private');
  });
  await new Promise<void>((ready) => server.listen(0, '127.0.0.1', ready));
  const { port } = server.address() as AddressInfo;
  return {
    server: `https://localhost:${port}`,
    url: `https://localhost:${port}/${basename(repository)}`,
    cert,
    logins,
    stop: () => new Promise((done) => server.close(() => done())),
  };
}

/** One request through `git http-backend`, which speaks CGI. */
function runGit(repository: string, request: IncomingMessage, response: ServerResponse): void {
  const { pathname, search } = new URL(request.url ?? '/', 'https://localhost');
  const child = spawn('git', ['http-backend'], {
    env: {
      PATH: process.env.PATH,
      GIT_PROJECT_ROOT: dirname(repository),
      GIT_HTTP_EXPORT_ALL: '1',
      GIT_CONFIG_COUNT: '1',
      GIT_CONFIG_KEY_0: 'safe.directory',
      GIT_CONFIG_VALUE_0: '*',
      REQUEST_METHOD: request.method,
      PATH_INFO: pathname,
      QUERY_STRING: search.slice(1),
      CONTENT_TYPE: request.headers['content-type'] ?? '',
      HTTP_CONTENT_ENCODING: request.headers['content-encoding'] ?? '',
      GIT_PROTOCOL: String(request.headers['git-protocol'] ?? ''),
      REMOTE_USER: 'x-access-token',
    },
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  request.pipe(child.stdin);
  let head = Buffer.alloc(0);
  child.stdout.on('data', (chunk: Buffer) => {
    if (response.headersSent) return void response.write(chunk);
    head = Buffer.concat([head, chunk]);
    const end = head.indexOf('\r\n\r\n');
    if (end < 0) return;
    const headers = head
      .subarray(0, end)
      .toString()
      .split('\r\n')
      .map((line) => line.split(': ', 2) as [string, string]);
    const status = headers.find(([name]) => name === 'Status')?.[1];
    response.writeHead(status === undefined ? 200 : Number.parseInt(status, 10), Object.fromEntries(headers));
    response.write(head.subarray(end + 4));
  });
  child.stdout.on('end', () => response.end());
}
