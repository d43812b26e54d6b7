import assert from 'node:assert/strict';
import { mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { openFleet } from '../../../src/server/fleet/fleet.js';
import { keepNewest } from '../../../src/server/fleet/keep-newest.js';
import { startSshd } from '../../servers/sshd.js';
import { sshSettings } from '../fleet-settings.js';

test('of a folder only the oldest files of the kind go, whatever the folder is called', async () => {
  const server = await startSshd();
  const fleet = openFleet({ ssh: sshSettings([server]) }, { dist: '', log: () => {} });
  const folder = join(server.home, "it's $(here)");
  mkdirSync(folder);
  const names = ['20250101', '20250102', '20250103', '20250104'].map((day) => `${day}T120000Z-7-full.dump`);
  const others = ['20250101T120000Z-note.txt', 'mine.dump', '.hidden.part'];
  for (const name of [...names, ...others]) writeFileSync(join(folder, name), '');
  try {
    await keepNewest(fleet.hosts[0]!, folder, '.dump', 2, new AbortController().signal);
    assert.deepEqual(readdirSync(folder).sort(), [...names.slice(2), ...others].sort());
  } finally {
    await fleet.close();
    await server.stop();
  }
});
