// Preloaded into an application that PM2 runs in cluster mode: see docs/server.md, "No connection lost".
// At a reload PM2's daemon may be handing the old process a connection at the very moment when that one ends, and nobody
// ever answers it. A worker that disconnects first gives back what is on its way, and answers what it has.
const cluster = require('node:cluster');

process.on('SIGINT', () => {
  const exit = () => process.exit(0);
  if (cluster.worker) cluster.worker.once('disconnect', exit).disconnect();
  else exit();
});
