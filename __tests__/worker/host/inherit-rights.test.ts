import assert from 'node:assert/strict';
import {
  chmodSync,
  chownSync,
  mkdirSync,
  mkdtempSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { inheritRights, namedIn } from '../../../src/worker/host/inherit-rights.js';
import { openToolbox } from '../../../src/worker/host/toolbox.js';

/** Two builds of one application, the one that serves and the one that will. */
function builds(): { root: string; live: string; next: string } {
  const root = mkdtempSync(join(tmpdir(), 'muva-rights-'));
  const [live, next] = [join(root, 'live'), join(root, 'next')];
  for (const folder of [live, next]) {
    mkdirSync(join(folder, 'static'), { recursive: true });
    writeFileSync(join(folder, 'static/app.css'), '', { mode: 0o640 });
    writeFileSync(join(folder, 'key'), '', { mode: 0o600 });
  }
  return { root, live, next };
}

describe('row 169: what takes the place of a build', () => {
  test('row 169: has the group of a setgid folder, in all that is in it', async () => {
    const { root, live, next } = builds();
    try {
      const mine = process.getgid!();
      const gid = process.getuid!() === 0 ? 12_345 : (process.getgroups!().find((id) => id !== mine) ?? mine);
      chownSync(live, process.getuid!(), gid);
      chmodSync(live, 0o2750);
      symlinkSync('/etc/hostname', join(next, 'elsewhere'));
      const owner = statSync('/etc/hostname').gid;
      assert.deepEqual(await inheritRights(openToolbox(process.env), live, next), []);
      for (const path of ['', 'static', 'static/app.css', 'key'])
        assert.equal(statSync(join(next, path)).gid, gid, path);
      assert.equal(statSync(join(next, 'static')).mode & 0o2000, 0o2000);
      assert.equal(statSync(join(next, 'key')).mode & 0o777, 0o600);
      assert.equal(statSync('/etc/hostname').gid, owner, 'what a symlink leads to is left alone');
    } finally {
      rmSync(root, { recursive: true, force: true });
    }
  });

  test('row 169: an access list is read, those whom it names for what is made inside too', () => {
    const list = [
      'user::rwx',
      'user:33:r-x',
      'group::r-x',
      'group:44:rwx',
      'mask::rwx',
      'other::---',
      'default:user::rwx',
      'default:user:33:r-x',
      'default:group::r-x',
      'default:mask::r-x',
      'default:other::---',
    ].join('\n');
    assert.deepEqual(namedIn(list), {
      access: [
        { who: 'user:33', rights: 'rX' },
        { who: 'group:44', rights: 'rwX' },
      ],
      inside: [{ who: 'user:33', rights: 'rX' }],
    });
    assert.deepEqual(namedIn(''), { access: [], inside: [] });
  });
});
