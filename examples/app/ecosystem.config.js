// PM2: cluster mode with a plain script is what lets a reload lose no request; one instance is enough.
module.exports = {
  apps: [
    {
      name: 'guesthouse',
      script: 'server.js',
      exec_mode: 'cluster',
      instances: 1,
      kill_timeout: 10_000,
      env: { NODE_ENV: 'production', PORT: 3000 },
    },
  ],
};
