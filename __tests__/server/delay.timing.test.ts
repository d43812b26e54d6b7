import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { describe, test } from 'node:test';
import { openFleet } from '../../src/server/fleet/fleet.js';
import { startSshd } from '../servers/sshd.js';
import { sshSettings } from './fleet-settings.js';

describe('a short command over an open connection', () => {
  for (const kind of ['openssh', 'embedded'] as const) {
    if (kind === 'openssh' && !existsSync('/usr/sbin/sshd')) continue;
    test(`takes no Nagle delay with ${kind}`, async () => {
      const server = await startSshd({ kind });
      const fleet = openFleet({ ssh: sshSettings([server]) }, { dist: '/nonexistent', log: () => {} });
      try {
        const times: number[] = [];
        for (let count = 0; count < 15; count++) {
          const started = performance.now();
          await fleet.hosts[0]!.exec('true');
          times.push(performance.now() - started);
        }
        // The quickest one: a busy machine slows some of them, a delayed acknowledgement (40 ms) slows all.
        assert.ok(Math.min(...times) < 35, `${times.map(Math.round).join(', ')} ms`);
      } finally {
        await fleet.close();
        await server.stop();
      }
    });
  }
});
