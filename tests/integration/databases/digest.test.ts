// The digest of a real database: the same for the same contents, another one after any single change, and told in words.
import { beforeAll, describe, expect } from 'vitest';
import { connectPostgres } from '../../../src/databases/postgres/connect.ts';
import { differencesOf, digestPostgres } from '../../../src/databases/postgres/digest.ts';
import type { LogicalDigest } from '../../../src/model/manifest.ts';
import { startPostgres, testWithPostgres as test, type TestPostgres } from '../../support/postgres.ts';
import { richDatabase } from './rich-database.ts';

let server: TestPostgres;
let rich: string;
beforeAll(async () => {
  server = await startPostgres();
  await server.query(server.url('postgres'), 'CREATE ROLE somebody');
  rich = await server.database();
  await server.query(rich, richDatabase);
});

/** In a transaction that is taken back, so that one database serves them all. */
async function digestAfter(url: string, sql: string): Promise<{ readonly before: LogicalDigest; readonly after: LogicalDigest }> {
  const client = await connectPostgres({ url, attempts: 1, backoffMs: 1 }, { name: 'main' });
  try {
    const before = await digestPostgres(client);
    await client.query(sql);
    return { before, after: await digestPostgres(client) };
  } finally {
    await client.end();
  }
}

let copies = 0;
/** A copy of the rich database to be changed. */
async function copy(): Promise<string> {
  copies += 1;
  await server.query(server.url('postgres'), `CREATE DATABASE copy_${copies} TEMPLATE ${new URL(rich).pathname.slice(1)}`);
  return server.url(`copy_${copies}`);
}

describe('the digest is the same', () => {
  test.each([
    {
      what: 'after rows were written again in another order',
      sql: 'CREATE TEMP TABLE kept AS SELECT * FROM plain; DELETE FROM ONLY plain; INSERT INTO plain SELECT * FROM kept WHERE v <> $$c$$ OR v IS NULL ORDER BY v DESC',
    },
    { what: 'after a vacuum that moves every row', sql: 'VACUUM FULL' },
    { what: 'after statistics', sql: 'ANALYZE' },
    {
      what: 'whatever the session shows values like',
      sql: "SET datestyle = 'SQL, DMY'; SET timezone = 'Asia/Tokyo'; SET extra_float_digits = -10; SET bytea_output = escape; SET intervalstyle = iso_8601; SET search_path = \"Other schema\"",
    },
    {
      what: 'with a journal and marker tables in it',
      sql: 'CREATE SCHEMA rungs; CREATE TABLE rungs.runs (id serial PRIMARY KEY, t text DEFAULT $$x$$); COMMENT ON TABLE rungs.runs IS $$c$$; CREATE FUNCTION rungs.f() RETURNS int LANGUAGE sql AS $$SELECT 1$$; CREATE TYPE rungs.e AS ENUM ($$a$$); CREATE TABLE _rungs_marker (id serial PRIMARY KEY, step text UNIQUE); CREATE TABLE "Other schema"._rungs_marker (step text); INSERT INTO _rungs_marker VALUES (1, $$a$$)',
    },
    { what: 'after default rights were given by name', sql: 'GRANT ALL ON plain TO postgres' },
    { what: 'after a materialised view was made fresh', sql: 'REFRESH MATERIALIZED VIEW names' },
  ])('$what', async ({ sql }) => {
    const { before, after } = await digestAfter(await copy(), sql);
    expect(differencesOf(before, after)).toEqual([]);
    expect(after).toEqual(before);
  });
});

describe('the digest is another', () => {
  test.each([
    { sql: "UPDATE plain SET v = 'row 1 ' WHERE v = 'row 2'", why: ['rows of plain'] },
    { sql: "UPDATE plain SET v = '' WHERE v IS NULL", why: ['rows of plain'] },
    { sql: "INSERT INTO plain VALUES ('row 1')", why: ['rows of plain'] },
    { sql: "DELETE FROM ONLY plain WHERE ctid = (SELECT ctid FROM ONLY plain WHERE v = 'row 1' LIMIT 1)", why: ['rows of plain'] },
    { sql: 'INSERT INTO nothing_in_it DEFAULT VALUES', why: ['rows of nothing_in_it'] },
    { sql: `UPDATE "Other schema"."Odd ""table"" it's" SET n = 1.100 WHERE n = 1.1`, why: [`rows of "Other schema"."Odd ""table"" it's"`] },
    {
      sql: `UPDATE "Other schema"."Odd ""table"" it's" SET f = f + 1e-17 WHERE f = 0.1`,
      why: [`rows of "Other schema"."Odd ""table"" it's"`],
    },
    { sql: 'ALTER TABLE child ALTER extra TYPE bigint', why: ['schema'] },
    { sql: "ALTER TABLE plain ALTER v SET DEFAULT 'x'", why: ['schema'] },
    { sql: 'ALTER TABLE plain RENAME v TO w', why: ['schema'] },
    { sql: 'CREATE INDEX fresh ON plain (v)', why: ['schema'] },
    { sql: 'ALTER INDEX users_recent RENAME TO recent_users', why: ['schema'] },
    { sql: 'DROP INDEX users_recent; CREATE INDEX users_recent ON users (lower(name) text_pattern_ops)', why: ['schema'] },
    {
      sql: "CREATE OR REPLACE FUNCTION twice(value integer) RETURNS integer LANGUAGE sql IMMUTABLE AS 'SELECT value * 3'",
      why: ['schema'],
    },
    { sql: 'ALTER TABLE users ENABLE TRIGGER note', why: ['schema'] },
    { sql: 'DROP RULE quiet ON plain', why: ['schema'] },
    { sql: 'DROP POLICY own ON users', why: ['schema'] },
    { sql: "ALTER TYPE mood ADD VALUE 'new'", why: ['schema'] },
    { sql: 'ALTER DOMAIN positive DROP CONSTRAINT positive_check', why: ['schema'] },
    { sql: 'ALTER TABLE users DROP CONSTRAINT users_status_check', why: ['schema'] },
    {
      sql: "ALTER TABLE users DROP CONSTRAINT users_status_check, ADD CONSTRAINT users_status_check CHECK (status IN ('new', 'old', 'a', 'it''s')) NOT VALID",
      why: ['schema'],
    },
    {
      sql: 'CREATE OR REPLACE VIEW "Other schema".recent AS SELECT u.*, count(*) OVER () AS total FROM users u WHERE status IN (\'new\')',
      why: ['schema'],
    },
    { sql: "COMMENT ON TABLE users IS 'others'", why: ['schema'] },
    { sql: 'GRANT SELECT ON users TO somebody', why: ['schema'] },
    { sql: 'GRANT SELECT (name) ON users TO somebody', why: ['schema'] },
    { sql: 'ALTER TABLE plain OWNER TO somebody', why: ['schema'] },
    { sql: 'ALTER DEFAULT PRIVILEGES GRANT SELECT ON TABLES TO somebody', why: ['schema'] },
    { sql: 'ALTER SEQUENCE untouched INCREMENT 2', why: ['schema'] },
    { sql: 'CREATE SCHEMA another', why: ['schema'] },
    { sql: 'CREATE EXTENSION citext', why: ['schema'] },
    { sql: 'DROP COLLATION nordic', why: ['schema'] },
    { sql: 'ALTER TABLE log DETACH PARTITION log_old', why: ['schema'] },
    { sql: 'ALTER TABLE plain SET (fillfactor = 50)', why: ['schema'] },
    { sql: 'CREATE OPERATOR === (LEFTARG = integer, RIGHTARG = integer, FUNCTION = int4eq)', why: ['schema'] },
    { sql: 'DROP STATISTICS plain_stat', why: ['schema'] },
    { sql: 'CREATE PUBLICATION p FOR TABLE plain', why: ['schema'] },
    { sql: "SELECT setval('untouched', 7, true)", why: ['sequence public.untouched'] },
    { sql: 'SELECT lo_create(0)', why: ['large objects'] },
  ])('after $sql', async ({ sql, why }) => {
    const url = await copy();
    const { before, after } = await digestAfter(url, sql);
    expect(differencesOf(before, after)).toEqual(why);
    expect(after.digest).not.toBe(before.digest);
    await server.query(server.url('postgres'), `DROP DATABASE ${new URL(url).pathname.slice(1)} WITH (FORCE)`);
  });

  test('after an index stayed invalid; that one went again is no difference', async () => {
    const url = await copy();
    const client = await connectPostgres({ url, attempts: 1, backoffMs: 1 }, { name: 'main' });
    const before = await digestPostgres(client);
    await client.query('CREATE UNIQUE INDEX CONCURRENTLY once ON plain (v)').catch(() => undefined);
    const after = await digestPostgres(client);
    await client.end();
    expect(differencesOf(before, after)).toEqual(['invalid index public.once']);
    expect(differencesOf(after, before)).toEqual([]);
  });
});
