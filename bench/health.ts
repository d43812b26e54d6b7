/**
 * How long after an application begins to answer is it reported healthy? Starts a real server at a random moment
 * while the probe is asking already, and prints the distribution: `node build/bench/health.js [runs]`.
 */
import { freePort, HEALTHY, serve, withHttpServer } from '../__tests__/servers/http.js';
import { checkHealth } from '../src/web/probe.js';

const runs = Number(process.argv[2] ?? 30);
const delays: number[] = [];
for (let run = 0; run < runs; run++) {
  const port = await freePort();
  const asking = checkHealth(
    { baseUrl: `http://127.0.0.1:${port}`, from: 'runner' },
    { paths: ['/', '/api/health'], timeout: 5_000, deadline: 60_000, successes: 2, checkAssets: true },
  );
  await new Promise((resolve) => setTimeout(resolve, 300 + Math.random() * 1_000));
  await withHttpServer(
    serve(HEALTHY),
    async () => {
      const answering = performance.now();
      await asking;
      delays.push(performance.now() - answering);
    },
    { port },
  );
}
delays.sort((a, b) => a - b);
const at = (share: number): string => `${Math.round(delays[Math.ceil(share * runs) - 1]!)} ms`;
console.log(`healthy after answering, ${runs} starts: median ${at(0.5)}, 95 % ${at(0.95)}, longest ${at(1)}`);
