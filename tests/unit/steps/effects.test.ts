import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { effectsOf, noteEffect } from '../../../src/steps/host/effects.ts';

test('a line that a power cut has torn is no effect, and does not spoil the next one', () => {
  const runDir = mkdtempSync(join(tmpdir(), 'rungs-effects-'));
  try {
    mkdirSync(join(runDir, 'undo'));
    writeFileSync(join(runDir, 'undo/effects.ndjson'), '{"step":"a","action":"apply","kind":"exec","name":"x"}\n{"step":"b","ac');
    noteEffect(runDir, { step: 'c', action: 'apply', kind: 'exec', name: 'y' }, true);
    expect(['a', 'b', 'c'].map((step) => effectsOf(runDir, step, 'apply').length)).toEqual([1, 0, 1]);
  } finally {
    rmSync(runDir, { recursive: true });
  }
});
