// SQL that makes a database with most kinds of objects and values that PostgreSQL knows, awkward names among them.
export const richDatabase = String.raw`
CREATE EXTENSION pgcrypto;
CREATE EXTENSION hstore;
CREATE SCHEMA "Other schema";
CREATE TYPE mood AS ENUM ('sad', 'ok', 'it''s "fine"');
CREATE DOMAIN positive AS integer DEFAULT 1 CHECK (VALUE > 0);
CREATE TYPE pair AS (a integer, b text);
CREATE TYPE span AS RANGE (subtype = float8);
CREATE FUNCTION twice(value integer) RETURNS integer LANGUAGE sql IMMUTABLE AS $twice$ SELECT value * 2 -- it's $1 and "$$"
$twice$;
CREATE TABLE users (
  id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  name varchar(40) NOT NULL CHECK (name <> ''),
  status varchar(10) NOT NULL DEFAULT 'new' CHECK (status IN ('new', 'old', 'a,b', 'it''s')),
  feeling mood DEFAULT 'ok',
  gone text,
  doubled integer GENERATED ALWAYS AS (twice(2)) STORED,
  UNIQUE (name, status)
);
ALTER TABLE users DROP COLUMN gone;
COMMENT ON TABLE users IS 'people; it''s "them"';
COMMENT ON COLUMN users.name IS E'line\nline';
CREATE TABLE "Other schema"."Odd ""table"" it's" (
  "key column" serial PRIMARY KEY,
  owner integer REFERENCES users (id) ON DELETE CASCADE DEFERRABLE,
  n numeric, f float8, g real, b bytea, j json, jb jsonb, a integer[], t text[][], d date, ts timestamptz, i interval, u uuid, h hstore,
  p positive, pr pair, sp span, bit bit(3), money money, inet inet, x xml, tsv tsvector, pt point, c char(5), bo boolean, rel regclass
);
INSERT INTO users (name, feeling, status) VALUES ('Ada', 'sad', 'new'), ('Grace', NULL, 'it''s'), ('Käthe 🙂', 'it''s "fine"', 'old');
INSERT INTO "Other schema"."Odd ""table"" it's" VALUES
  (DEFAULT, 1, 1.10, 0.1, 1e-7, '\x00ff27', '{"a":  1}', '{"b": [1, null]}', '{1,NULL,3}', '{{a,b},{"c,d","e\"f"}}', '2026-02-28',
   '2026-02-28 12:00:00.123456+05', '1 mon 2 days 03:04:05', '00000000-0000-0000-0000-000000000001', 'a=>1', 5, '(1,"x,y")', '[1.5,2.5)', B'101', 12.5, '10.0.0.1/8',
   '<a>b</a>', 'fat:1 cat:2', '(1,2)', 'ab', true, 'users'),
  (DEFAULT, NULL, 'NaN', 'Infinity', '-0', '', 'null', '"x"', '{}', '{}', 'infinity', '-infinity', '0', NULL, '', 1, '(,)', 'empty', B'000', -1, '::1', NULL, '', '(0,-0)', '', NULL, NULL);
INSERT INTO "Other schema"."Odd ""table"" it's" DEFAULT VALUES;
CREATE INDEX users_recent ON users (lower(name) text_pattern_ops) WHERE status IN ('new', 'old');
CREATE VIEW "Other schema".recent AS SELECT u.*, count(*) OVER () AS total FROM users u WHERE status IN ('new', 'old');
CREATE MATERIALIZED VIEW names AS SELECT name FROM users ORDER BY name;
CREATE UNIQUE INDEX ON names (name);
CREATE TABLE log (at date NOT NULL, what text) PARTITION BY RANGE (at);
CREATE TABLE log_old PARTITION OF log FOR VALUES FROM (MINVALUE) TO ('2026-01-01');
CREATE TABLE log_new PARTITION OF log DEFAULT;
CREATE INDEX ON log (at);
INSERT INTO log VALUES ('2025-05-05', E'tab\tand\nline\\'), ('2026-05-05', '\.');
CREATE TABLE plain (v text);
INSERT INTO plain SELECT 'row ' || i FROM generate_series(1, 500) i;
INSERT INTO plain VALUES (NULL), (''), ('row 1');
CREATE TABLE child (extra integer) INHERITS (plain);
INSERT INTO child VALUES ('c', 1);
CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS $body$ BEGIN NEW.name := NEW.name || ''; RETURN NEW; END $body$;
CREATE TRIGGER note BEFORE UPDATE ON users FOR EACH ROW WHEN (OLD.name IS DISTINCT FROM NEW.name) EXECUTE FUNCTION note();
ALTER TABLE users DISABLE TRIGGER note;
CREATE RULE quiet AS ON DELETE TO plain WHERE OLD.v = 'never' DO INSTEAD NOTHING;
CREATE PROCEDURE nothing() LANGUAGE sql AS $$ SELECT 1 $$;
CREATE AGGREGATE total(integer) (SFUNC = int4pl, STYPE = integer, INITCOND = '0');
CREATE SEQUENCE "Other schema".spare INCREMENT 5 MAXVALUE 1000 CYCLE;
SELECT nextval('"Other schema".spare');
CREATE SEQUENCE untouched START 7;
ALTER TABLE users ENABLE ROW LEVEL SECURITY;
CREATE POLICY own ON users FOR SELECT USING (status IN ('new', 'old'));
CREATE STATISTICS plain_stat (dependencies) ON at, what FROM log;
CREATE TABLE nothing_in_it ();
INSERT INTO nothing_in_it DEFAULT VALUES;
CREATE COLLATION nordic (provider = icu, locale = 'sv');
`;
