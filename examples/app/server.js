// A small application with what a deploy needs: a page with a script and a style, and /api/health.
const cluster = require('node:cluster');
const { existsSync, readFileSync } = require('node:fs');
const { createServer } = require('node:http');
const { extname, join, resolve, sep } = require('node:path');
const { health } = require('./health.js');

const { version } = require('./package.json');
const revision = join(__dirname, 'REVISION'); // the deployed commit, written by the deploy
const identity = {
  version: `v${version.split('.')[0]}`,
  commit: existsSync(revision) ? readFileSync(revision, 'utf8').trim() : null,
};
const TYPES = { '.html': 'text/html; charset=utf-8', '.js': 'text/javascript', '.css': 'text/css' };
const site = join(__dirname, 'dist');

/** The built file that a path names, or undefined where there is none. */
function fileFor(path) {
  const file = resolve(site, `.${path === '/' ? '/index.html' : path}`);
  return file.startsWith(site + sep) && TYPES[extname(file)] && existsSync(file) ? file : undefined;
}

const server = createServer(async (request, response) => {
  const { pathname } = new URL(request.url, 'http://app');
  if (pathname === '/api/health') {
    const answer = await health().catch((error) => ({ status: 'unhealthy', reason: error.message }));
    response.writeHead(answer.status === 'ok' ? 200 : 500, { 'content-type': 'application/json' });
    return response.end(`${JSON.stringify({ ...answer, ...identity })}\n`);
  }
  const file = fileFor(pathname);
  if (!file) return response.writeHead(404, { 'content-type': 'text/plain' }).end('not found\n');
  response.writeHead(200, { 'content-type': TYPES[extname(file)] }).end(readFileSync(file));
});

server.listen(Number(process.env.PORT ?? 3000), '127.0.0.1');

// PM2 sends SIGINT on a reload: answer what is under way, take nothing new. In cluster mode its daemon may be handing over
// a connection at that moment; a worker that disconnects first gives it back, one that just exits loses it.
process.on('SIGINT', () => {
  const exit = () => process.exit(0);
  if (cluster.worker) cluster.worker.once('disconnect', exit).disconnect();
  else server.close(exit);
  server.closeIdleConnections();
});
