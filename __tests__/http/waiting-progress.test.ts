import assert from 'node:assert/strict';
import { test } from 'node:test';
import { tellWaiting } from '../../src/http/waiting-progress.js';
import { until } from '../servers/until.js';

test('what is not good yet is told again and again, with what to do about it', async () => {
  const told: string[] = [];
  const waiting = tellWaiting((text) => told.push(text), 5);
  try {
    const next = 'Does the application have /api/health?';
    waiting.note('/', 1, { ok: true, status: 200 });
    waiting.note('/api/health', 3, { ok: false, status: 404, detail: 'answers 404', next });
    await until('two words', () => told.length > 1);
    const words =
      /^waiting for health, [\d.]+ m?s: \/api\/health answers 404 \(try 3\)\. Does the application have/;
    for (const text of told) assert.match(text, words);
    assert.equal(waiting.has('/api/health'), true);
    waiting.note('/api/health', 4, { ok: true, status: 200 });
    assert.equal(waiting.has('/api/health'), false);
  } finally {
    waiting.stop();
  }
});
