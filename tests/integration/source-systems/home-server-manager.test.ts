// Home Server Manager's tree as it is, run by Rungs with the commands of its document, and the faults of its code, each of which does not happen here.
import { existsSync, mkdirSync, readFileSync, readdirSync, renameSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { expect, test } from 'vitest';
import { copyTree, execSql, rows, type Document, type Tree } from './tree.ts';

interface Monitor extends Tree {
  readonly database: string;
  readonly query: (sql: string) => readonly Record<string, unknown>[];
}

function monitorAt(file: string, env: Readonly<Record<string, string>>): Monitor {
  const tree = copyTree('home-server-manager', env);
  const database = path.resolve(tree.root, file);
  return { ...tree, database, query: (sql) => rows(database, sql) };
}

/** An empty database, as a new installation has it. */
function fresh(): Monitor {
  const monitor = monitorAt('data/monitor.db', {});
  execSql(monitor.database, 'PRAGMA journal_mode = WAL');
  return monitor;
}

const bookkeeping = `CREATE TABLE migrations (
  version INTEGER PRIMARY KEY,
  name TEXT NOT NULL,
  description TEXT,
  applied_at TEXT NOT NULL,
  rolled_back_at TEXT,
  backup_path TEXT,
  status TEXT NOT NULL DEFAULT 'applied',
  error_message TEXT
);
CREATE TABLE migration_history (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  version INTEGER NOT NULL,
  direction TEXT NOT NULL,
  status TEXT NOT NULL,
  backup_path TEXT,
  error_message TEXT,
  started_at TEXT NOT NULL,
  completed_at TEXT,
  FOREIGN KEY (version) REFERENCES migrations(version)
);`;

/** What the tool itself left behind: 1 and 2 are applied, 3 was, and was rolled back. */
function existing(): Monitor {
  const monitor = fresh();
  execSql(
    monitor.database,
    `CREATE TABLE users (id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT NOT NULL, email TEXT);
     CREATE TABLE legacy_table (id INTEGER PRIMARY KEY, data TEXT);
     INSERT INTO users (name, email) VALUES ('Ada', 'Ada@Example.ORG'), ('Bo', NULL), ('Cy', NULL);
     INSERT INTO legacy_table (id, data) VALUES (1, 'one'), (2, 'two');
     ${bookkeeping}
     INSERT INTO migrations (version, name, description, applied_at, rolled_back_at, status) VALUES
       (1, 'initial_schema', 'Create initial database schema', '2024-01-01T12:00:00.000Z', NULL, 'applied'),
       (2, 'add_email_column', 'Add email column to users table', '2024-01-01T12:00:00.100Z', NULL, 'applied'),
       (3, 'normalize_email_addresses', NULL, '2024-01-01T12:00:00.200Z', '2024-01-02T08:00:00.000Z', 'rolled_back');
     INSERT INTO migration_history (version, direction, status, started_at, completed_at) VALUES
       (1, 'up', 'success', '2024-01-01T12:00:00.000Z', '2024-01-01T12:00:00.050Z'),
       (2, 'up', 'success', '2024-01-01T12:00:00.100Z', '2024-01-01T12:00:00.150Z'),
       (3, 'up', 'success', '2024-01-01T12:00:00.200Z', '2024-01-01T12:00:00.250Z'),
       (3, 'down', 'success', '2024-01-02T08:00:00.000Z', '2024-01-02T08:00:00.050Z');`,
  );
  return monitor;
}

const statusOf = async (tree: Tree): Promise<Document> => (await tree.json('status')).document.ladders[0];
const tablesOf = ({ query }: Monitor): readonly unknown[] =>
  query("SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%' ORDER BY name").map(({ name }) => name);

test('status, up 3, up, down and down N, as in its document', async () => {
  const monitor = fresh();
  expect(await statusOf(monitor)).toMatchObject({ height: 0, latest: 7, pending: 7 });
  const three = await monitor.json('up', '3');
  expect(three.document).toMatchObject({ outcome: 'committed', failure: null });
  expect(await statusOf(monitor)).toMatchObject({ height: 3, pending: 4 });
  expect(monitor.query('SELECT name, email FROM users ORDER BY id')).toEqual([
    { name: 'Ada', email: 'ada@example.org' },
    { name: 'Bo', email: null },
    { name: 'Cy', email: null },
  ]);

  expect((await monitor.json('up', '6')).document.steps.map(({ id }: Document) => id)).toEqual([
    'main/004_add_sessions_table',
    'main/005_add_user_role',
    'main/006_add_performance_indexes',
  ]);
  const schema = () => monitor.query("SELECT type, name, sql FROM sqlite_master WHERE name NOT LIKE 'sqlite_%' ORDER BY name");
  const atSix = schema();
  const down = await monitor.json('down');
  expect(down.document).toMatchObject({ outcome: 'committed', failure: null });
  expect(await statusOf(monitor)).toMatchObject({ height: 5 });
  expect(monitor.query("SELECT name FROM sqlite_master WHERE name LIKE 'idx_users%'")).toEqual([]);

  // Over the rebuild of a table that others refer to.
  expect((await monitor.json('down', '3')).document.outcome).toBe('committed');
  expect(await statusOf(monitor)).toMatchObject({ height: 3, pending: 4 });
  expect(monitor.query('SELECT * FROM users WHERE id = 1')).toEqual([{ id: 1, name: 'Ada', email: 'ada@example.org' }]);

  expect((await monitor.json('up')).document.outcome).toBe('committed');
  expect(await statusOf(monitor)).toMatchObject({ height: 7, pending: 0 });
  expect(monitor.query('SELECT * FROM new_table')).toEqual([
    { id: 1, transformed_data: '{"value":"ONE"}' },
    { id: 2, transformed_data: '{"value":"TWO"}' },
  ]);
  expect(tablesOf(monitor)).toEqual(['new_table', 'sessions', 'users']);
  const names = ({ name }: Record<string, unknown>) => String(name);
  expect(schema().map(names)).toEqual(
    [...atSix.map(names), 'new_table'].filter((name) => name !== 'legacy_table').toSorted((a, b) => (a < b ? -1 : 1)),
  );
  const text = await monitor.upgrade('status');
  expect(text.stdout).toMatch(/Ladder\s+main\s+7 of 7/);
});

test('the rebuild of a table in a down keeps the rows of the tables that refer to it', async () => {
  const monitor = fresh();
  await monitor.upgrade('up', '5');
  expect(monitor.query('SELECT count(*) AS n FROM sessions')).toEqual([{ n: 3 }]);
  expect((await monitor.json('down')).document).toMatchObject({ outcome: 'committed' });
  expect(monitor.query('SELECT id, user_id FROM sessions ORDER BY id')).toEqual([
    { id: 'session-1', user_id: 1 },
    { id: 'session-2', user_id: 2 },
    { id: 'session-3', user_id: 3 },
  ]);
  expect(monitor.query('PRAGMA foreign_key_check')).toEqual([]);
});

test('a down that throws is reported with what it says, and everything is as before', async () => {
  const monitor = fresh();
  await monitor.upgrade('up', '5');
  const before = [monitor.query('SELECT * FROM users'), monitor.query('SELECT id, user_id FROM sessions'), tablesOf(monitor)];
  const { code, document } = await monitor.json('down', '2');
  expect(code).toBe(10);
  expect(document).toMatchObject({ outcome: 'rolled-back', failure: { step: 'main/003_normalize_email_addresses' } });
  expect(document.failure.message).toContain('Cannot reverse data normalization');
  expect([monitor.query('SELECT * FROM users'), monitor.query('SELECT id, user_id FROM sessions'), tablesOf(monitor)]).toEqual(before);
  expect(await statusOf(monitor)).toMatchObject({ height: 5 });
});

test('backup list and backup restore, as restore.ts in its document', async () => {
  const monitor = fresh();
  await monitor.upgrade('up', '2');
  expect((await monitor.json('up', '4')).document.outcome).toBe('committed');
  const { document: backups } = await monitor.json('backup', 'list');
  expect(backups).toHaveLength(2);
  const { code, document } = await monitor.json('backup', 'restore', backups[0].id, '--yes');
  expect(code).toBe(0);
  expect(document.restored.length).toBeGreaterThan(0);
  expect(tablesOf(monitor)).toEqual(['legacy_table', 'users']);
  expect(monitor.query('SELECT email FROM users WHERE id = 1')).toEqual([{ email: 'Ada@Example.ORG' }]);
});

test('DATABASE_PATH names another database', async () => {
  const monitor = monitorAt('data/test.db', { DATABASE_PATH: 'data/test.db' });
  execSql(monitor.database, 'PRAGMA journal_mode = WAL');
  expect((await monitor.json('up', '1')).document.outcome).toBe('committed');
  expect(monitor.query('SELECT count(*) AS n FROM users')).toEqual([{ n: 3 }]);
  expect(existsSync(path.join(monitor.root, 'data/monitor.db'))).toBe(false);
});

test('what the tool recorded is adopted: what was rolled back is not applied, and runs again', async () => {
  const monitor = existing();
  const record = () => [monitor.query('SELECT * FROM migrations'), monitor.query('SELECT * FROM migration_history')];
  const before = record();
  const { document } = await monitor.json('adopt');
  expect(document.ladders[0]).toMatchObject({
    status: 'adopted',
    height: 2,
    source: { kind: 'sqlite', shape: 'history', tables: ['migrations', 'migration_history'] },
  });
  expect(document.ladders[0].problems.map(({ level, code }: Document) => [level, code])).toEqual([['info', 'LADDER_NOT_APPLIED']]);
  expect((await monitor.json('up')).document.steps[0].id).toBe('main/003_normalize_email_addresses');
  expect(await statusOf(monitor)).toMatchObject({ height: 7, pending: 0 });
  expect(record()).toEqual(before);
});

test('with writeBack both tables say what was done, up and down', async () => {
  const monitor = existing();
  monitor.write('upgrade.yaml', monitor.read('upgrade.yaml').replace('database: monitor }', 'database: monitor, writeBack: true }'));
  await monitor.upgrade('adopt');
  const history = monitor.query('SELECT * FROM migration_history');
  const up = (await monitor.json('up', '4')).document;
  expect(up.outcome).toBe('committed');
  const iso = expect.stringMatching(/^\d{4}-\d\d-\d\dT[\d:.]+Z$/);
  expect(monitor.query('SELECT * FROM migrations WHERE version > 2')).toEqual([
    {
      version: 3,
      name: 'normalize_email_addresses',
      description: 'Convert all email addresses to lowercase',
      applied_at: iso,
      rolled_back_at: null,
      backup_path: up.backup.path,
      status: 'applied',
      error_message: null,
    },
    {
      version: 4,
      name: 'add_sessions_table',
      description: 'Create sessions table for user authentication',
      applied_at: iso,
      rolled_back_at: null,
      backup_path: up.backup.path,
      status: 'applied',
      error_message: null,
    },
  ]);
  expect((await monitor.json('down')).document.outcome).toBe('committed');
  expect(monitor.query('SELECT status, rolled_back_at FROM migrations WHERE version = 4')).toEqual([
    { status: 'rolled_back', rolled_back_at: iso },
  ]);
  const after = monitor.query('SELECT * FROM migration_history');
  expect(after.slice(0, 4)).toEqual(history);
  expect(after.slice(4).map(({ version, direction, status }) => [version, direction, status])).toEqual([
    [3, 'up', 'success'],
    [4, 'up', 'success'],
    [4, 'down', 'success'],
  ]);
  expect(monitor.query('PRAGMA foreign_key_check')).toEqual([]);
  // Once more down and up in one run: both are told, and the second call of a resume would tell nothing more.
  expect((await monitor.json('up', '4')).document.outcome).toBe('committed');
  expect((await monitor.json('redo')).document.outcome).toBe('committed');
  expect(monitor.query('SELECT version, direction FROM migration_history WHERE id > 7 ORDER BY id')).toEqual([
    { version: 4, direction: 'up' },
    { version: 4, direction: 'down' },
    { version: 4, direction: 'up' },
  ]);
  expect(monitor.query('SELECT status, rolled_back_at FROM migrations WHERE version = 4')).toEqual([
    { status: 'applied', rolled_back_at: null },
  ]);
});

test('fault: a fresh up always fails, history row before its parent row — here it succeeds, with and without the old tables', async () => {
  const plain = fresh();
  expect((await plain.json('up')).document).toMatchObject({ outcome: 'committed', failure: null });
  const withTables = fresh();
  withTables.write('upgrade.yaml', withTables.read('upgrade.yaml').replace('database: monitor }', 'database: monitor, writeBack: true }'));
  execSql(withTables.database, bookkeeping);
  expect((await withTables.json('adopt')).document.ladders).toMatchObject([{ status: 'adopted', height: 0 }]);
  expect((await withTables.json('up')).document).toMatchObject({ outcome: 'committed', failure: null });
  expect(withTables.query('SELECT version, direction FROM migration_history ORDER BY id').map(({ version }) => version)).toEqual([
    1, 2, 3, 4, 5, 6, 7,
  ]);
  expect(withTables.query('PRAGMA foreign_key_check')).toEqual([]);
});

test('fault: down of the first step drops its own history and crashes — here the ground is reached, and the history is kept', async () => {
  const monitor = fresh();
  await monitor.upgrade('up', '2');
  expect((await monitor.json('down', '0')).document).toMatchObject({ outcome: 'committed', failure: null });
  expect(tablesOf(monitor)).toEqual([]);
  expect(await statusOf(monitor)).toMatchObject({ height: 0, pending: 7 });
  const { document } = await monitor.json('history');
  expect(document).toHaveLength(2);
  expect((await monitor.json('up', '1')).document.outcome).toBe('committed');
});

test('fault: retention never deletes — here the newest are kept, as many as are wanted, and what they continue', async () => {
  const monitor = fresh();
  monitor.write('upgrade.yaml', monitor.read('upgrade.yaml').replace('keep: 10', 'keep: 2'));
  for (const height of ['1', '2', '3', '4']) expect((await monitor.json('up', height)).code).toBe(0);
  const { document } = await monitor.json('backup', 'list');
  const listed = document as readonly { readonly id: string; readonly manifest: string }[];
  const continued = (manifest: string): readonly { readonly id: string }[] => JSON.parse(readFileSync(manifest, 'utf8')).archives;
  const wanted = new Set(listed.slice(0, 2).flatMap(({ id, manifest }) => [id, ...continued(manifest).map((archive) => archive.id)]));
  expect(listed.map(({ id }) => id).toSorted()).toEqual([...wanted].toSorted());
  expect(wanted.size).toBeLessThan(4);
  const archives = readdirSync(path.join(monitor.root, 'data/backups')).filter((name) => name.endsWith('.tar.zst'));
  expect(archives.toSorted()).toEqual([...wanted].map((id) => `${id}.tar.zst`).toSorted());
});

test('fault: a dry run still creates tables — here it leaves not a byte', async () => {
  const monitor = fresh();
  const before = [monitor.query('SELECT * FROM sqlite_master'), readdirSync(monitor.root), readdirSync(path.join(monitor.root, 'data'))];
  const { code, document } = await monitor.json('up', '--dry-run');
  expect(code).toBe(0);
  expect(JSON.stringify(document)).toContain('main/007_migrate_legacy_data');
  expect([monitor.query('SELECT * FROM sqlite_master'), readdirSync(monitor.root), readdirSync(path.join(monitor.root, 'data'))]).toEqual(
    before,
  );
});

test('fault: the restore leaves a stale -wal — here what was written since is gone, also where it lay in the WAL', async () => {
  const monitor = fresh();
  await monitor.upgrade('up', '1');
  const { document: backup } = await monitor.json('backup', 'create');
  // A copy of the -wal, put back beside the database, is what a killed application leaves.
  const open = new DatabaseSync(monitor.database);
  open.exec("INSERT INTO users (name) VALUES ('late')");
  const wal = `${monitor.database}-wal`;
  const { copyFileSync } = await import('node:fs');
  mkdirSync(path.join(path.dirname(monitor.root), 'aside'));
  const aside = path.join(path.dirname(monitor.root), 'aside/wal');
  copyFileSync(wal, aside);
  open.close();
  renameSync(aside, wal);
  const { code } = await monitor.json('backup', 'restore', backup.id, '--yes');
  expect(code).toBe(0);
  const again = new DatabaseSync(monitor.database);
  expect(
    again
      .prepare('SELECT name FROM users ORDER BY id')
      .all()
      .map(({ name }) => name),
  ).toEqual(['Ada', 'Bo', 'Cy']);
  expect(again.prepare('PRAGMA integrity_check').get()).toEqual({ integrity_check: 'ok' });
  again.close();
});

test('fault: "applied" means at most MAX(version), so gaps are skipped — here a step that came late is told, and run if it is asked for', async () => {
  const monitor = fresh();
  const late = path.join(monitor.root, 'scripts/migrations/004_add_sessions_table.ts');
  const aside = path.join(path.dirname(monitor.root), 'late.ts');
  renameSync(late, aside);
  expect((await monitor.json('up', '5')).document.outcome).toBe('committed');
  renameSync(aside, late);
  expect(await statusOf(monitor)).toMatchObject({ height: 5, pending: 3 });
  const refused = await monitor.json('up', '5');
  expect(refused.code).toBe(3);
  expect(JSON.stringify(refused.document)).toContain('004_add_sessions_table');
  expect((await monitor.json('up', '5', '--out-of-order')).document.steps).toMatchObject([
    { id: 'main/004_add_sessions_table', status: 'applied' },
  ]);
  expect(tablesOf(monitor)).toContain('sessions');
});

test('fault: no lock — here of two runs at once one climbs, and the other one is refused or finds nothing to do', async () => {
  const monitor = fresh();
  const both = await Promise.all([monitor.json('up', '1'), monitor.json('up', '1')]);
  expect(both.filter(({ document }) => document.outcome === 'committed')).toHaveLength(1);
  for (const { code, document } of both)
    if (document.outcome !== 'committed') expect(code === 75 || document.outcome === 'nothing-to-do').toBe(true);
  expect(monitor.query('SELECT count(*) AS n FROM users')).toEqual([{ n: 3 }]);
});

test('its backups: a broken database is found before anything is changed, and so is a foreign key that points to nothing', async () => {
  const monitor = fresh();
  await monitor.upgrade('up', '4');
  execSql(monitor.database, "PRAGMA foreign_keys = OFF; INSERT INTO sessions (id, user_id, expires_at) VALUES ('x', 99, 'never')");
  const { document } = await monitor.json('up', '5', '--dry-run');
  expect(JSON.stringify(document.findings)).toMatch(/sessions/);
  writeFileSync(monitor.database, 'this is no database any more, but it is long enough to be taken for one'.repeat(100));
  const { code, document: refused } = await monitor.json('up', '5');
  expect(code).toBe(3);
  expect(JSON.stringify(refused)).toContain('DATABASE_CORRUPT');
});

test('a run that is killed in the middle of up(db): resume ends it, and the step took effect whole or not at all', async () => {
  const monitor = fresh();
  await monitor.upgrade('up', '3');
  const gate = path.join(path.dirname(monitor.root), 'gate');
  const begun = `${gate}.begun`;
  monitor.write(
    'scripts/migrations/004_add_sessions_table.ts',
    `import { existsSync, writeFileSync } from 'node:fs';
     export const up = (db: any) => {
       db.exec('CREATE TABLE sessions (id INTEGER)');
       writeFileSync(${JSON.stringify(begun)}, '');
       const until = performance.now() + 60_000;
       while (!existsSync(${JSON.stringify(gate)}) && performance.now() < until);
     };
     export const down = (db: any) => db.exec('DROP TABLE sessions');`,
  );
  const run = monitor.upgrade('up', '4', '--json');
  await until(async () => existsSync(begun));
  const { lock } = (await monitor.json('status')).document;
  process.kill(lock.pid, 'SIGKILL');
  await run;
  writeFileSync(gate, '');
  // The step's own process holds the lock as long as it lives.
  await until(async () => (await monitor.json('status')).document.lock === null);
  const { document } = await monitor.json('resume');
  expect(['committed', 'rolled-back']).toContain(document.outcome);
  const isApplied = document.outcome === 'committed';
  expect(tablesOf(monitor).includes('sessions')).toBe(isApplied);
  expect(await statusOf(monitor)).toMatchObject({ height: isApplied ? 4 : 3 });
});

async function until(holds: () => Promise<boolean>): Promise<void> {
  for (let tries = 0; tries < 600; tries += 1) {
    if (await holds()) return;
    await new Promise((resume) => setTimeout(resume, 50));
  }
  throw new Error('what was waited for did not come');
}
