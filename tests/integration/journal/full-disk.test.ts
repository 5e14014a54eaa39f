import { execFileSync } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync, statfsSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { expect } from 'vitest';
import { openSqliteJournal } from '../../../src/journal/sqlite-journal.ts';
import { UpgradeError } from '../../../src/model/failure.ts';
import { parseVersion } from '../../../src/model/version.ts';
import { testAsRoot } from '../../support/needs.ts';

testAsRoot('mount')('on a full disk the reserve is given up, so that a rollback can still be recorded; then it is an error', async () => {
  const disk = mkdtempSync(path.join(os.tmpdir(), 'rungs-full-'));
  execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=8m', 'tmpfs', disk]);
  try {
    const state = path.join(disk, 'state');
    const journal = openSqliteJournal({ state, mode: 'write' });
    if (journal === null) throw new Error('no journal');
    const versions = { from: parseVersion('0.1.0'), to: parseVersion('0.2.0') };
    await journal.createRun(
      { id: 'a', product: 'p', ...versions, direction: 'up', planHash: 'x', startedAt: 'now', host: 'h', pid: 1 },
      {
        product: 'p',
        ...versions,
        direction: 'up',
        hash: 'x',
        transitions: [],
      },
    );
    fill(disk);
    expect(existsSync(path.join(state, 'reserve'))).toBe(true);
    // Larger than the slack of the last page that the disk still had.
    await journal.intend('a', 'restore', 'x'.repeat(200_000));
    expect(existsSync(path.join(state, 'reserve'))).toBe(false);
    expect((await journal.effects('a')).map(({ key }) => key)).toEqual(['restore']);
    fill(disk);
    const refused = await journal.intend('a', 'again', 'x'.repeat(400_000)).then(
      () => null,
      (error: unknown) => error,
    );
    expect(refused).toBeInstanceOf(UpgradeError);
    expect(refused instanceof UpgradeError && refused.failures[0]?.code).toBe('JOURNAL_WRITE_FAILED');
    // What was committed before is still there.
    expect((await journal.effects('a')).map(({ key }) => key)).toEqual(['restore']);
    await journal.close();
    // Nor does a full disk keep it from being opened again, to say what is unfinished.
    const again = openSqliteJournal({ state, mode: 'write' });
    expect((await again?.unfinishedRun())?.id).toBe('a');
    await again?.close();
  } finally {
    execFileSync('umount', [disk]);
    rmSync(disk, { recursive: true });
  }
});

function fill(disk: string): void {
  const { bavail, bsize } = statfsSync(disk);
  if (bavail > 0) writeFileSync(path.join(disk, `filler-${Math.random()}`), Buffer.alloc(bavail * bsize, 1));
}
