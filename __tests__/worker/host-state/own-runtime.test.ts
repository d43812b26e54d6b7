import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ownRuntime } from '../../../src/worker/host-state/host-state.js';

test('an entry with a Node of its own is built and rehearsed with that', () => {
  const cases: [string | undefined, string | undefined][] = [
    ['/home/deployer/.nvm/versions/node/v18.20.4/bin/node', '/home/deployer/.nvm/versions/node/v18.20.4/bin'],
    ['node', undefined],
    ['none', undefined],
    ['/usr/bin/python3', undefined],
    [undefined, undefined],
  ];
  for (const [interpreter, folder] of cases)
    assert.equal(ownRuntime(interpreter === undefined ? undefined : { interpreter }), folder);
});
