import assert from 'node:assert/strict';
import { test } from 'node:test';
import { readMarker } from '../../../src/database/migrations/deploy-marker.js';

const READ: [source: string, afterHealth: boolean, wrong: string[]][] = [
  ['-- deploy: after-health\ndrop table a;', true, []],
  ['-- the old table\r\n--DEPLOY:after-health \r\ndrop table a;', true, []],
  ['/* licence\n * of /* ours */ */\n-- deploy: after-health\ndrop table a;', true, []],
  ['begin;\n-- deploy: after-health\ndrop table a;\ncommit;', true, []],
  ['START TRANSACTION read write;\n-- deploy: after-health\ndrop table a;\ncommit;', true, []],
  ["--\n-- dump\n--\n\\restrict it's\n-- deploy: after-health\ndrop table a;", true, []],
  ['--- deploy: after-health\ndrop table a;', false, ['--- deploy: after-health']],
  ['-- deploy : after-health\ndrop table a;', false, ['-- deploy : after-health']],
  ['-- deploy after-health\ndrop table a;', false, ['-- deploy after-health']],
  ['-- deploy: after_health\ndrop table a;', false, ['-- deploy: after_health']],
  ['-- deploy: after-heath\ndrop table a;', false, ['-- deploy: after-heath']],
  [
    '-- deploy: after-health (the old code)\ndrop table a;',
    false,
    ['-- deploy: after-health (the old code)'],
  ],
  ['/* deploy: after-health */\ndrop table a;', false, ['/* deploy: after-health */']],
  ['drop table a; -- deploy: after-health', false, ['-- deploy: after-health']],
  ['create table a (id int);\n-- deploy: after-health\ndrop table b;', false, ['-- deploy: after-health']],
  ['-- deploy: sometime\n-- deploy: after-health\ndrop table a;', true, ['-- deploy: sometime']],
  // Prose, texts and bodies are no markers.
  ['-- we deploy after health checks have passed\nselect 1; -- deploy after health, then look', false, []],
  ["select '-- deploy: after-health';\ndo $$ -- deploy: after-health\nbegin end $$;", false, []],
  ['select 1;\n-- deploy: later\n/*\n * -- deploy: after-health\n */', false, []],
];

for (const [source, afterHealth, wrong] of READ)
  test(`a marker in ${JSON.stringify(source)}`, () => {
    const marker = readMarker(source);
    assert.equal(marker.afterHealth, afterHealth);
    assert.deepEqual(
      marker.wrong.map(({ comment, index }) => source.slice(index, index + comment.length)),
      wrong,
    );
  });
