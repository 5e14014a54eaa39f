// A run that was killed before its first step, and taken up after people had gone on working: their work is in no backup, and must not be lost.
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { fixtures, makeTiny, type Tiny } from './installation.ts';

let tiny: Tiny;
beforeEach(async () => {
  tiny = makeTiny();
  await tiny.start();
});
afterEach(() => tiny.remove());

async function killedAt(key: string): Promise<void> {
  const { signal } = await tiny.node([path.join(fixtures, 'programs/kill-at.mjs'), tiny.configFile, 'run', 'orchestrator', key]);
  expect(signal).toBe('SIGKILL');
}

function goOnWorking(): void {
  const database = new DatabaseSync(path.join(tiny.root, 'data/app.db'));
  database.exec("UPDATE items SET name = 'written since' WHERE id = 7");
  database.close();
  writeFileSync(path.join(tiny.root, 'data/files/a.txt'), 'written since\n');
}

function hasTheWork(): { readonly row: unknown; readonly file: string } {
  const database = new DatabaseSync(path.join(tiny.root, 'data/app.db'), { readOnly: true });
  try {
    const row = database.prepare('SELECT name FROM items WHERE id = 7').get()?.['name'];
    return { row, file: readFileSync(path.join(tiny.root, 'data/files/a.txt'), 'utf8') };
  } finally {
    database.close();
  }
}

const kept = { row: 'written since', file: 'written since\n' };

test.each(['backup-verified#1', 'phase-started discovery#1', 'service stopping app#1'])(
  'killed at "%s", a rollback takes nothing of it back',
  async (key) => {
    await killedAt(key);
    goOnWorking();
    expect((await tiny.upgrade(['rollback', '--json'])).code).toBe(10);
    expect(hasTheWork()).toEqual(kept);
    expect(await tiny.answer()).not.toBeNull();
  },
);

test.each(['phase-finished backup#1', 'service stopping app#1'])(
  'killed at "%s", a resume that fails goes back to the work, not to the old backup',
  async (key) => {
    tiny.step('v1.1.0_to_v2.0.0/009_break.sh', '#!/bin/sh\nexit 3\n');
    await killedAt(key);
    goOnWorking();
    const { code, stdout } = await tiny.upgrade(['resume', '--json']);
    expect(code).toBe(10);
    expect(hasTheWork()).toEqual(kept);
    expect(JSON.parse(stdout)).toMatchObject({ outcome: 'rolled-back', failure: { code: 'STEP_FAILED' } });
  },
);

test('what a service writes between the backup and its end is not taken back', async () => {
  writeFileSync(
    path.join(tiny.root, 'bin/last-words.mjs'),
    `import { DatabaseSync } from 'node:sqlite';
     const database = new DatabaseSync('data/app.db', { timeout: 5000 });
     database.exec("UPDATE items SET name = 'written since' WHERE id = 7");
     database.close();`,
  );
  tiny.edit('bin/service', (text) => text.replace('stop) stop ;;', 'stop) node bin/last-words.mjs && stop ;;'));
  tiny.step('v1.0.0_to_v1.1.0/009_break.sh', '#!/bin/sh\nexit 3\n');
  const { code, stdout } = await tiny.upgrade(['--json', '--yes']);
  expect(code).toBe(10);
  expect(hasTheWork().row).toBe('written since');
  // The one that was outdated made room for the one that counts.
  const backups = JSON.parse((await tiny.upgrade(['backup', 'list', '--json'])).stdout);
  expect(backups).toMatchObject([{ id: JSON.parse(stdout).backup.id }]);
  expect(readdirSync(path.join(tiny.state, 'backups')).filter((name) => name.endsWith('.tar.zst'))).toHaveLength(1);
});

test('an archive that was finished but not yet recorded, and is outdated, does not keep a resume from going on', async () => {
  // The event is told after the record, so the record is taken away again.
  await killedAt('backup-verified#1');
  const journal = new DatabaseSync(path.join(tiny.state, 'journal.db'));
  journal.exec('DELETE FROM backups; UPDATE runs SET backup_id = NULL');
  journal.close();
  goOnWorking();
  expect((await tiny.upgrade(['resume', '--json'])).code).toBe(0);
  expect(readdirSync(path.join(tiny.state, 'backups')).filter((name) => name.endsWith('.tar.zst'))).toHaveLength(2);
});
