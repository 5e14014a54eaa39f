// M.O.S.S.'s tree as it is, run by Rungs on a real PostgreSQL: its record adopted, its commands, and the faults of its code, each of which does not happen here.
import { createHash } from 'node:crypto';
import { readdirSync, renameSync } from 'node:fs';
import path from 'node:path';
import { beforeAll, expect } from 'vitest';
import { startPostgres, testWithPostgres as test, type TestPostgres } from '../../support/postgres.ts';
import { copyTree, type Tree } from './tree.ts';

let postgres: TestPostgres;
beforeAll(async () => {
  postgres = await startPostgres();
});

interface Moss extends Tree {
  readonly url: string;
  readonly query: (sql: string) => Promise<readonly Record<string, unknown>[]>;
}

/** An installation that M.O.S.S. itself brought to 004. */
async function existing(): Promise<Moss> {
  const moss = await fresh();
  const done = readdirSync(path.join(moss.root, 'migrations'))
    .toSorted()
    .filter((name) => name < '005');
  for (const name of done) await moss.query(moss.read(`migrations/${name}`));
  await moss.query(moss.read('existing.sql').replaceAll(/:'(\d+)'/g, (_, number: string) => `'${checksumOf(moss, number)}'`));
  return moss;
}

async function fresh(): Promise<Moss> {
  const url = await postgres.database();
  const tree = copyTree('moss', { DATABASE_URL: url });
  // Who is refused waits for the lock before.
  tree.write('upgrade.yaml', `${tree.read('upgrade.yaml')}timeouts: { lock: 1s }\n`);
  return { ...tree, url, query: (sql) => postgres.query(url, sql) };
}

function checksumOf({ root, read }: Tree, number: string): string {
  const name = readdirSync(path.join(root, 'migrations')).find((each) => each.startsWith(number)) ?? '';
  return createHash('sha256')
    .update(read(`migrations/${name}`))
    .digest('hex');
}

const records = ({ query }: Moss) => query('SELECT * FROM schema_migrations ORDER BY id');
const statusOf = async (moss: Moss) => (await moss.json('status')).document.ladders[0];

test('upgrade adopt takes over what M.O.S.S. recorded, and leaves its tables as they are', async () => {
  const moss = await existing();
  const before = [await records(moss), await moss.query('SELECT * FROM migration_lock')];
  const dry = await moss.json('adopt', '--dry-run');
  expect(dry.document.ladders).toMatchObject([{ name: 'main', status: 'adopted', height: 4 }]);
  expect(moss.has('.upgrade')).toBe(false);

  const { code, document } = await moss.json('adopt');
  expect(code).toBe(0);
  const [ladder] = document.ladders;
  expect(ladder).toMatchObject({ name: 'main', status: 'adopted', height: 4, gaps: [], duplicates: [], missing: [], changed: [] });
  expect(ladder.source).toMatchObject({ kind: 'postgres', database: 'main', shape: 'numbered', tables: ['schema_migrations'] });
  expect(ladder.steps).toHaveLength(5);
  expect(ladder.steps[1]).toEqual({
    number: 1,
    name: '001_initial_schema.sql',
    appliedAt: '2025-10-16T10:00:01',
    sha256: checksumOf(moss, '001'),
  });
  expect(ladder.problems.map(({ level, code }: { level: string; code: string }) => [level, code])).toEqual([
    ['warn', 'LADDER_NOT_APPLIED'],
    ['info', 'LADDER_OLD_LOCK'],
  ]);
  expect(ladder.problems[1].message).toMatch(/by moss-web-1, process 4711, since 2025-10-16T10:00:03/);
  expect([await records(moss), await moss.query('SELECT * FROM migration_lock')]).toEqual(before);
  expect(await statusOf(moss)).toMatchObject({ height: 4, latest: 20, pending: 3 });

  const again = await moss.json('adopt');
  expect(again.document.ladders).toMatchObject([{ status: 'already-adopted' }]);
  const text = await moss.upgrade('adopt');
  expect(text.stdout).toContain('(schema_migrations)');
  expect(text.stdout + text.stderr).not.toContain(moss.url);
});

test("upgrade status, up --dry-run and up, as npm run db:migrate:status, :dry-run and db:migrate in M.O.S.S.'s document", async () => {
  const moss = await existing();
  await moss.upgrade('adopt');
  const before = await records(moss);
  const dry = await moss.json('up', '--dry-run');
  expect(dry.code).toBe(0);
  expect(JSON.stringify(dry.document)).toContain('main/005_add_user_status');
  expect(await statusOf(moss)).toMatchObject({ height: 4, pending: 3 });

  const { code, document } = await moss.json('up');
  expect(document).toMatchObject({ outcome: 'committed', failure: null });
  expect(code).toBe(0);
  expect(document.steps.map(({ id, status }: { id: string; status: string }) => [id, status])).toEqual([
    ['main/005_add_user_status', 'applied'],
    ['main/006_device_labels', 'applied'],
    ['main/020_api_tokens', 'applied'],
  ]);
  expect(await statusOf(moss)).toMatchObject({ height: 20, latest: 20, pending: 0 });
  expect(await moss.query('SELECT status FROM users')).toEqual([{ status: 'active' }]);
  expect(await moss.query('SELECT label FROM devices ORDER BY label')).toEqual([
    { label: 'none' },
    { label: 'printer' },
    { label: 'router' },
  ]);
  expect(await moss.query("SELECT col_description('users'::regclass, 4) AS text")).toEqual([{ text: 'active; locked; gone' }]);
  // Without writeBack the old record is nobody's any more.
  expect(await records(moss)).toEqual(before);
  expect((await moss.json('up')).document.outcome).toBe('nothing-to-do');
});

test('a fresh database is brought from nothing to the top', async () => {
  const moss = await fresh();
  const { code, document } = await moss.json('up');
  expect(document).toMatchObject({ outcome: 'committed', failure: null });
  expect(code).toBe(0);
  expect(document.steps).toHaveLength(8);
  expect(await moss.query('SELECT name FROM companies ORDER BY name')).toEqual([{ name: 'Acme; Sons' }, { name: 'Bolt -- Co' }]);
  expect(await moss.query('SELECT release_stale_migration_locks() AS released')).toEqual([{ released: 0 }]);
  expect(await statusOf(moss)).toMatchObject({ height: 20, latest: 20, pending: 0 });
});

test('with writeBack the record says after the run what M.O.S.S. would have recorded', async () => {
  const moss = await existing();
  moss.write('upgrade.yaml', moss.read('upgrade.yaml').replace('database: main }', 'database: main, writeBack: true }'));
  await moss.upgrade('adopt');
  const before = await records(moss);
  expect((await moss.json('up')).document.outcome).toBe('committed');
  const after = await records(moss);
  expect(after.slice(0, 5)).toEqual(before.slice(0, 5));
  expect(
    after.slice(5).map(({ migration_number, filename, application_version, status, error_message, checksum }) => ({
      migration_number,
      filename,
      application_version,
      status,
      error_message,
      checksum,
    })),
  ).toEqual(
    [
      [5, '005_add_user_status.sql'],
      [6, '006_device_labels.sql'],
      [20, '020_api_tokens.sql'],
    ].map(([number, filename]) => ({
      migration_number: number,
      filename,
      application_version: '1.0.0',
      status: 'completed',
      error_message: null,
      checksum: checksumOf(moss, String(filename).slice(0, 3)),
    })),
  );
  for (const { execution_time_ms, applied_at } of after.slice(5)) {
    expect(execution_time_ms).toEqual(expect.any(Number));
    expect(applied_at).toBeInstanceOf(Date);
  }
  // Another tool, and adopting again, find what they expect.
  expect((await moss.query("SELECT count(*)::int AS n FROM migration_status WHERE status = 'completed'"))[0]).toEqual({ n: 8 });
});

test('killed while it writes the old record: resume writes it, once', async () => {
  const moss = await existing();
  moss.write('upgrade.yaml', moss.read('upgrade.yaml').replace('database: main }', 'database: main, writeBack: true }'));
  await moss.upgrade('adopt');
  const { default: pg } = await import('pg');
  const holder = new pg.Client({ connectionString: moss.url });
  await holder.connect();
  // Everybody may read the record, nobody may write it.
  await holder.query('BEGIN; LOCK TABLE schema_migrations IN EXCLUSIVE MODE');
  const run = moss.upgrade('up', '--json');
  await until(
    async () => (await moss.query("SELECT 1 FROM pg_locks WHERE relation = 'schema_migrations'::regclass AND NOT granted")).length > 0,
  );
  const { lock } = (await moss.json('status')).document;
  expect(lock.phase).toBe('commit');
  process.kill(lock.pid, 'SIGKILL');
  await run;
  await holder.query('ROLLBACK');
  await holder.end();
  expect((await records(moss)).filter(({ status }) => status === 'completed')).toHaveLength(5);
  expect((await moss.json('resume')).document).toMatchObject({ outcome: 'committed' });
  expect((await records(moss)).map(({ migration_number, status }) => [migration_number, status])).toEqual(
    [0, 1, 2, 3, 4, 5, 6, 20].map((number) => [number, 'completed']),
  );
  expect(await statusOf(moss)).toMatchObject({ height: 20, pending: 0 });
});

test('fault: its lock never works and it runs unlocked — here the second of two runs at once is refused or waits, and each step runs once', async () => {
  const moss = await existing();
  await moss.upgrade('adopt');
  moss.write('migrations/007_slow.sql', 'SELECT pg_sleep(1); CREATE TABLE once (id INTEGER); INSERT INTO once VALUES (1);');
  const both = await Promise.all([moss.json('up'), moss.json('up')]);
  expect(both.map(({ code }) => code)).toContain(0);
  for (const { code, document } of both) {
    if (code === 0) expect(['committed', 'nothing-to-do']).toContain(document.outcome);
    else expect(code).toBe(75);
  }
  expect(both.filter(({ document }) => document.outcome === 'committed')).toHaveLength(1);
  expect(await moss.query('SELECT * FROM once')).toEqual([{ id: 1 }]);
});

test('fault: two files with one number leave the second recorded never — here they are refused, and the unrecorded one is named', async () => {
  const moss = await existing();
  renameSync(path.join(moss.root, 'migrations/006_device_labels.sql'), path.join(moss.root, 'migrations/002_device_labels.sql'));
  const adopted = await moss.json('adopt');
  expect(adopted.document.ladders[0]).toMatchObject({ duplicates: [2], height: 4 });
  const told = adopted.document.ladders[0].problems.find(({ code }: { code: string }) => code === 'LADDER_UNRECORDED_FILE');
  expect(told.message).toMatch(/002_authentication\.sql was recorded; nothing tells whether 002_device_labels\.sql/);
  const { code, document } = await moss.json('up');
  expect(code).not.toBe(0);
  expect(JSON.stringify(document)).toContain('LADDER_DUPLICATE');
  expect(await moss.query("SELECT to_regclass('api_tokens') AS there")).toEqual([{ there: null }]);
  expect((await moss.upgrade('check')).code).toBe(2);
});

test('fault: failed rows count as applied and are not tried again — here the failed step is run', async () => {
  const moss = await existing();
  await moss.upgrade('adopt');
  const { document } = await moss.json('up', '5');
  expect(document.steps).toMatchObject([{ id: 'main/005_add_user_status', status: 'applied' }]);
  expect(await moss.query('SELECT status FROM users')).toEqual([{ status: 'active' }]);
});

test('fault: a step that fails here is undone whole, and tried again at the next run', async () => {
  const moss = await existing();
  await moss.upgrade('adopt');
  const good = moss.read('migrations/006_device_labels.sql');
  moss.write('migrations/006_device_labels.sql', `${good}\nSELECT * FROM no_such_table;`);
  const { code, document } = await moss.json('up');
  expect(code).toBe(10);
  expect(document).toMatchObject({ outcome: 'rolled-back', failure: { step: 'main/006_device_labels' } });
  expect(document.failure.message).toContain('no_such_table');
  expect(
    await moss.query("SELECT column_name FROM information_schema.columns WHERE table_name = 'devices' AND column_name = 'label'"),
  ).toEqual([]);
  expect(await statusOf(moss)).toMatchObject({ height: 4, pending: 3 });
  moss.write('migrations/006_device_labels.sql', good);
  expect((await moss.json('up')).document.outcome).toBe('committed');
  expect(await statusOf(moss)).toMatchObject({ height: 20, pending: 0 });
});

test('fault: the checksum is never compared — here an edited step is refused, until it is accepted by name, which is recorded', async () => {
  const moss = await existing();
  moss.write('migrations/001_initial_schema.sql', `${moss.read('migrations/001_initial_schema.sql')}-- a typo\n`);
  const adopted = await moss.json('adopt');
  expect(adopted.document.ladders[0]).toMatchObject({ changed: [1], status: 'adopted' });
  const { code, document } = await moss.json('up');
  expect(code).toBe(3);
  expect(JSON.stringify(document)).toContain('001_initial_schema');
  expect(await statusOf(moss)).toMatchObject({ height: 4, pending: 3 });
  expect((await moss.json('up', '--accept-checksum', 'main/001_initial_schema')).document.outcome).toBe('committed');
  expect((await moss.json('up')).document.outcome).toBe('nothing-to-do');
});

test('fault: the checksum — line endings that git changed are no edit', async () => {
  const moss = await existing();
  moss.write('migrations/001_initial_schema.sql', moss.read('migrations/001_initial_schema.sql').replaceAll('\n', '\r\n'));
  expect((await moss.json('adopt')).document.ladders[0]).toMatchObject({ changed: [] });
  expect((await moss.json('up')).document.outcome).toBe('committed');
});

test('fault: the timeout is unused — here a step that takes too long is ended and undone', async () => {
  const moss = await existing();
  await moss.upgrade('adopt');
  moss.write(
    'migrations/005_add_user_status.sql',
    '-- rungs: { timeout: 1s }\nALTER TABLE users ADD COLUMN status TEXT; SELECT pg_sleep(600);',
  );
  const { code, document } = await moss.json('up');
  expect(code).toBe(10);
  expect(document.failure).toMatchObject({ step: 'main/005_add_user_status', code: 'STEP_TIMEOUT' });
  expect(
    await moss.query("SELECT column_name FROM information_schema.columns WHERE table_name = 'users' AND column_name = 'status'"),
  ).toEqual([]);
  // The server takes its own time to let go of a session that was ended.
  const asleep = "SELECT pid FROM pg_stat_activity WHERE query LIKE '%pg_sleep(600)%' AND pid <> pg_backend_pid()";
  await until(async () => (await moss.query(asleep)).length === 0);
});

test('fault: the lock is released by whoever ends first — here one that is refused leaves the lock with its holder', async () => {
  const moss = await existing();
  await moss.upgrade('adopt');
  // Until it may go on, the step waits for a lock that this test holds.
  moss.write('migrations/005_add_user_status.sql', 'SELECT pg_advisory_xact_lock(77); ALTER TABLE users ADD COLUMN status TEXT;');
  const { default: pg } = await import('pg');
  const holder = new pg.Client({ connectionString: moss.url });
  await holder.connect();
  await holder.query('SELECT pg_advisory_lock(77)');
  const first = moss.json('up');
  await until(async () => (await moss.query("SELECT 1 FROM pg_locks WHERE locktype = 'advisory' AND NOT granted")).length > 0);
  const refused = async () => (await moss.json('up')).code;
  expect([await refused(), await refused()]).toEqual([75, 75]);
  await holder.query('SELECT pg_advisory_unlock(77)');
  await holder.end();
  expect((await first).document.outcome).toBe('committed');
});

test('fault: no heartbeat — here the status tells who holds the lock, and the lock is free the moment the holder is gone', async () => {
  const moss = await existing();
  await moss.upgrade('adopt');
  moss.write('migrations/005_add_user_status.sql', 'SELECT pg_advisory_xact_lock(78); ALTER TABLE users ADD COLUMN status TEXT;');
  const { default: pg } = await import('pg');
  const holder = new pg.Client({ connectionString: moss.url });
  await holder.connect();
  await holder.query('SELECT pg_advisory_lock(78)');
  const run = moss.json('up').catch(() => null);
  await until(async () => (await moss.query("SELECT 1 FROM pg_locks WHERE locktype = 'advisory' AND NOT granted")).length > 0);
  const { lock } = (await moss.json('status')).document;
  expect(lock).toMatchObject({ pid: expect.any(Number), host: expect.any(String), phase: 'orchestration' });
  process.kill(lock.pid, 'SIGKILL');
  await run;
  await holder.query('SELECT pg_advisory_unlock(78)');
  await holder.end();
  await until(async () => (await moss.json('status')).document.lock === null);
  expect((await moss.json('resume')).document.outcome).toMatch(/^(committed|rolled-back)$/);
  await moss.json('up');
  expect(await statusOf(moss)).toMatchObject({ height: 20, pending: 0 });
});

async function until(holds: () => Promise<boolean>): Promise<void> {
  for (let tries = 0; tries < 600; tries += 1) {
    if (await holds()) return;
    await new Promise((resume) => setTimeout(resume, 50));
  }
  throw new Error('what was waited for did not come');
}
