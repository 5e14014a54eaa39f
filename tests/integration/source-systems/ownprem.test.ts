// Ownprem's tree, run by Rungs: its record adopted, its steps climbed, and the faults of its code, each of which does not happen here.
import path from 'node:path';
import { expect, test } from 'vitest';
import { copyTree, execSql, rows, type Document, type Tree } from './tree.ts';

interface Ownprem extends Tree {
  readonly database: string;
  readonly query: (sql: string) => readonly Record<string, unknown>[];
}

const migrations = 'apps/orchestrator/src/db/migrations';

/** An installation that Ownprem itself brought to 8. */
function existing(): Ownprem {
  const tree = copyTree('ownprem');
  const database = path.join(tree.root, 'data/ownprem.sqlite');
  execSql(database, tree.read('existing.sql'));
  return { ...tree, database, query: (sql) => rows(database, sql) };
}

async function adopted(): Promise<Ownprem> {
  const ownprem = existing();
  expect((await ownprem.upgrade('adopt')).code).toBe(0);
  return ownprem;
}

const statusOf = async (tree: Tree): Promise<Document> => (await tree.json('status')).document.ladders[0];
const records = ({ query }: Ownprem) => query('SELECT * FROM schema_migrations ORDER BY version');

test('what it recorded is adopted, and the steps after it are climbed; its table stays as it is', async () => {
  const ownprem = existing();
  const before = records(ownprem);
  const { document } = await ownprem.json('adopt');
  expect(document.ladders[0]).toMatchObject({
    status: 'adopted',
    height: 8,
    gaps: [],
    missing: [],
    problems: [],
    source: { kind: 'sqlite', shape: 'named', tables: ['schema_migrations'] },
  });
  expect(document.ladders[0].steps[5]).toEqual({
    number: 6,
    name: 'add_rotated_at_to_secrets',
    appliedAt: '2024-05-02 10:00:00',
    sha256: null,
  });
  expect(await statusOf(ownprem)).toMatchObject({ height: 8, latest: 12, pending: 4 });
  const up = await ownprem.json('up');
  expect(up.document).toMatchObject({ outcome: 'committed', failure: null });
  expect(up.document.steps.map(({ id }: Document) => id)).toEqual([
    'main/009_add_email_to_users',
    'main/010_add_users_email_index',
    'main/011_add_cascade_to_services',
    'main/012_add_token_families',
  ]);
  expect(ownprem.query('SELECT id, family_id FROM tokens ORDER BY id')).toEqual([
    { id: 't1', family_id: 't1' },
    { id: 't2', family_id: 't2' },
  ]);
  expect(ownprem.query("SELECT sql FROM sqlite_master WHERE name = 'services'")[0]?.['sql']).toContain('ON DELETE CASCADE');
  expect(records(ownprem)).toEqual(before);
  expect((await ownprem.json('up')).document.outcome).toBe('nothing-to-do');
});

test('with writeBack its table says what was done, in its own words', async () => {
  const ownprem = existing();
  ownprem.write(
    'upgrade.yaml',
    ownprem.read('upgrade.yaml').replace('database: ownprem, fresh', 'database: ownprem, writeBack: true, fresh'),
  );
  await ownprem.upgrade('adopt');
  const before = records(ownprem);
  expect((await ownprem.json('up')).document.outcome).toBe('committed');
  const after = records(ownprem);
  expect(after.slice(0, 8)).toEqual(before);
  expect(after.slice(8)).toEqual(
    [
      [9, 'add_email_to_users'],
      [10, 'add_users_email_index'],
      [11, 'add_cascade_to_services'],
      [12, 'add_token_families'],
    ].map(([version, name]) => ({ version, name, applied_at: expect.stringMatching(/^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d$/) })),
  );
});

test('writeBack without a record to write to, and without one that was adopted, is told and makes no table', async () => {
  const ownprem = existing();
  execSql(ownprem.database, 'DROP TABLE schema_migrations');
  ownprem.write(
    'upgrade.yaml',
    ownprem.read('upgrade.yaml').replace('database: ownprem, fresh', 'database: ownprem, writeBack: true, fresh'),
  );
  expect((await ownprem.upgrade('baseline', '8')).code).toBe(0);
  const { code, stdout, stderr } = await ownprem.upgrade('up');
  expect(code).toBe(0);
  expect((stdout + stderr).replaceAll(/\s+/g, ' ')).toContain('nothing was written back');
  expect(ownprem.query("SELECT name FROM sqlite_master WHERE name = 'schema_migrations'")).toEqual([]);
});

test('a record that was adopted and is gone is made anew, whole', async () => {
  const ownprem = existing();
  ownprem.write(
    'upgrade.yaml',
    ownprem.read('upgrade.yaml').replace('database: ownprem, fresh', 'database: ownprem, writeBack: true, fresh'),
  );
  await ownprem.upgrade('adopt');
  execSql(ownprem.database, 'DROP TABLE schema_migrations');
  expect((await ownprem.json('up', '9')).document.outcome).toBe('committed');
  expect(records(ownprem).map(({ version, name }) => [version, name])).toEqual([
    [1, 'create_servers'],
    [2, 'create_users'],
    [3, 'create_services'],
    [4, 'create_deployments'],
    [5, 'create_secrets'],
    [6, 'add_rotated_at_to_secrets'],
    [7, 'create_tokens'],
    [8, 'create_backup_codes_table'],
    [9, 'add_email_to_users'],
  ]);
});

test('fault: no transaction per migration, one that fails half-way is recorded as done at the next start — here it is undone whole and tried again', async () => {
  const ownprem = await adopted();
  const file = `${migrations}/012_add_token_families.sql`;
  const good = ownprem.read(file);
  ownprem.write(file, good.replace('UPDATE tokens SET family_id = id', 'UPDATE tokens SET no_such_column = id'));
  const { code, document } = await ownprem.json('up');
  expect(code).toBe(10);
  expect(document).toMatchObject({ outcome: 'rolled-back', failure: { step: 'main/012_add_token_families' } });
  expect(ownprem.query('PRAGMA table_info(tokens)').map(({ name }) => name)).toEqual(['id', 'user_id']);
  expect(await statusOf(ownprem)).toMatchObject({ height: 8, pending: 4 });
  ownprem.write(file, good);
  expect((await ownprem.json('up')).document.outcome).toBe('committed');
  expect(await statusOf(ownprem)).toMatchObject({ height: 12, pending: 0 });
  expect(ownprem.query("SELECT family_id FROM tokens WHERE id = 't1'")).toEqual([{ family_id: 't1' }]);
});

test('fault: DROP TABLE with foreign keys on cascades and empties another table — here the rows of the tables that refer to it stay', async () => {
  const ownprem = await adopted();
  const before = [ownprem.query('SELECT * FROM deployments'), ownprem.query('SELECT * FROM secrets')];
  expect(before[0]).toHaveLength(3);
  expect((await ownprem.json('up', '11')).document.outcome).toBe('committed');
  expect([ownprem.query('SELECT * FROM deployments'), ownprem.query('SELECT * FROM secrets')]).toEqual(before);
  expect(ownprem.query('PRAGMA foreign_key_check')).toEqual([]);
});

test('fault: DROP TABLE with foreign keys on — here a rebuild that leaves rows without their parent is refused after it, and undone', async () => {
  const ownprem = await adopted();
  // An orphan: the rebuild filters it out, and its deployment would point to nothing.
  execSql(
    ownprem.database,
    "INSERT INTO services VALUES ('old', 'Old', 'gone'); INSERT INTO deployments (service_id, status) VALUES ('old', 'stopped')",
  );
  const before = ownprem.query('SELECT * FROM services');
  const { code, document } = await ownprem.json('up');
  expect(code).toBe(10);
  expect(document.failure).toMatchObject({ step: 'main/011_add_cascade_to_services', code: 'STEP_FOREIGN_KEYS' });
  expect(document.failure.message).toContain('deployments');
  expect(ownprem.query('SELECT * FROM services')).toEqual(before);
});

test('fault: schema.sql runs before the migrations and indexes columns that they add later — here an existing database never sees it', async () => {
  const ownprem = await adopted();
  // At its height, the schema for fresh installations would fail: idx_users_email needs a column that 009 adds.
  expect(() => execSql(ownprem.database, ownprem.read('apps/orchestrator/src/db/schema.sql').slice(-140))).toThrow();
  expect((await ownprem.json('up')).document).toMatchObject({ outcome: 'committed', failure: null });
  const names = ownprem.query("SELECT name FROM sqlite_master WHERE type = 'index' AND name LIKE 'idx_%' ORDER BY name");
  expect(names).toEqual([{ name: 'idx_services_server' }, { name: 'idx_users_email' }]);
});

test('fault: schema.sql and the migrations differ — here a fresh installation is made by schema.sql alone, and stands at the top', async () => {
  const upgraded = await adopted();
  await upgraded.json('up');
  const fresh = copyTree('ownprem');
  const database = path.join(fresh.root, 'data/ownprem.sqlite');
  execSql(database, 'PRAGMA journal_mode = WAL');
  expect((await fresh.json('up')).document).toMatchObject({ outcome: 'committed', failure: null });
  expect(await statusOf(fresh)).toMatchObject({ height: 12, latest: 12, pending: 0 });
  const columns = `SELECT m.name AS "table", c.name, c.type, c."notnull", c.pk FROM sqlite_master m, pragma_table_info(m.name) c
    WHERE m.type = 'table' AND m.name NOT IN ('schema_migrations') AND m.name NOT LIKE 'sqlite_%' ORDER BY 1, 2`;
  expect(rows(database, columns)).toEqual(upgraded.query(columns));
  const indexes = "SELECT name, tbl_name FROM sqlite_master WHERE type = 'index' AND sql IS NOT NULL ORDER BY name";
  expect(rows(database, indexes)).toEqual(upgraded.query(indexes));
  expect((await fresh.json('up')).document.outcome).toBe('nothing-to-do');
});

test('a step that finds its work done already is recorded, as with its "check whether it is needed"', async () => {
  const ownprem = await adopted();
  execSql(ownprem.database, 'ALTER TABLE users ADD COLUMN email TEXT');
  expect((await ownprem.json('up')).document.outcome).toBe('committed');
  expect(await statusOf(ownprem)).toMatchObject({ height: 12, pending: 0 });
});
