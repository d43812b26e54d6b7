/** One connection of this action's SSH client with some commands on it; a process of its own for bench/ssh.ts. */
import { connect } from '../src/server/ssh/connection.js';

const [port, user, key, blob, commands] = process.argv.slice(2) as [string, string, string, string, string];
const started = performance.now();
const connection = await connect(
  {
    server: 'the server',
    address: { host: '127.0.0.1', port: Number(port) },
    user,
    trust: { keys: [{ type: 'ssh-ed25519', blob }], fingerprints: [], revoked: [], authorityOnly: false },
  },
  { key: async () => ({ pem: key }) },
);
for (let count = 0; count < Number(commands); count++) {
  const { code } = await connection.exec('true');
  if (code !== 0) throw new Error(`true ended with ${code}`);
}
connection.close();
console.log(performance.now() - started);
