// The journal's tables in PostgreSQL: those of SQLite's journal, in the schema `rungs`, with a column that tells one installation from
// another. Versioned like them: a newer Rungs brings older tables up to date, an older one refuses newer ones.
export const postgresJournalVersion = 2;

/** `upgrades[n]` takes the tables from version n to n + 1. `rungs.lock` is made by whoever takes the lock, before this. */
export const postgresJournalUpgrades: readonly string[] = [
  `
  CREATE TABLE rungs.facts (
    installation text NOT NULL,
    key text NOT NULL,
    value text NOT NULL,
    PRIMARY KEY (installation, key)
  );

  CREATE TABLE rungs.runs (
    seq bigint GENERATED ALWAYS AS IDENTITY,
    installation text NOT NULL,
    id text NOT NULL,
    product text NOT NULL,
    from_version text,
    to_version text,
    direction text NOT NULL,
    plan_hash text NOT NULL,
    course text NOT NULL DEFAULT 'forwards',
    phase text NOT NULL DEFAULT 'preflight',
    started_at text NOT NULL,
    finished_at text,
    outcome text,
    failure text,
    backup_id text,
    attempts integer NOT NULL DEFAULT 1,
    host text NOT NULL,
    pid integer NOT NULL,
    result text,
    PRIMARY KEY (installation, id)
  );
  -- At most one run is unfinished: the database itself refuses a second.
  CREATE UNIQUE INDEX one_unfinished_run ON rungs.runs (installation) WHERE outcome IS NULL;
  CREATE INDEX runs_by_seq ON rungs.runs (installation, seq);

  -- Apart from the runs, so that listing those does not read them.
  CREATE TABLE rungs.plans (
    installation text NOT NULL,
    run_id text NOT NULL,
    plan text NOT NULL,
    PRIMARY KEY (installation, run_id)
  );

  CREATE TABLE rungs.run_steps (
    installation text NOT NULL,
    run_id text NOT NULL,
    position integer NOT NULL,
    step_id text NOT NULL,
    status text NOT NULL,
    attempts integer NOT NULL DEFAULT 0,
    started_at text,
    duration_ms double precision,
    failure text,
    -- Which state folder, on which host, its files were changed from.
    place text,
    host text,
    PRIMARY KEY (installation, run_id, step_id)
  );

  CREATE TABLE rungs.applied_steps (
    installation text NOT NULL,
    step_id text NOT NULL,
    sha256 text NOT NULL,
    run_id text NOT NULL,
    applied_at text NOT NULL,
    PRIMARY KEY (installation, step_id)
  );

  CREATE TABLE rungs.applied_transitions (
    seq bigint GENERATED ALWAYS AS IDENTITY,
    installation text NOT NULL,
    transition_id text NOT NULL,
    run_id text NOT NULL,
    PRIMARY KEY (installation, transition_id)
  );

  CREATE TABLE rungs.ladder_steps (
    installation text NOT NULL,
    ladder text NOT NULL,
    number bigint NOT NULL,
    name text NOT NULL,
    sha256 text,
    run_id text,
    applied_at text NOT NULL,
    PRIMARY KEY (installation, ladder, number)
  );

  CREATE TABLE rungs.backups (
    seq bigint GENERATED ALWAYS AS IDENTITY,
    installation text NOT NULL,
    place text NOT NULL,
    id text NOT NULL,
    record text NOT NULL,
    PRIMARY KEY (installation, id, place)
  );

  CREATE TABLE rungs.services (
    installation text NOT NULL,
    run_id text NOT NULL,
    name text NOT NULL,
    before text NOT NULL,
    PRIMARY KEY (installation, run_id, name)
  );

  CREATE TABLE rungs.effects (
    installation text NOT NULL,
    run_id text NOT NULL,
    key text NOT NULL,
    intent text NOT NULL,
    outcome text,
    PRIMARY KEY (installation, run_id, key)
  );

  CREATE TABLE rungs.events (
    installation text NOT NULL,
    run_id text NOT NULL,
    seq integer NOT NULL,
    body text NOT NULL,
    PRIMARY KEY (installation, run_id, seq)
  );
  `,
  `
  -- Who is still to be told about the end of a run. Nobody tries before next_at; without one it is over.
  CREATE TABLE rungs.outbox (
    seq bigint GENERATED ALWAYS AS IDENTITY,
    installation text NOT NULL,
    id text NOT NULL,
    target text NOT NULL,
    body text NOT NULL,
    attempts integer NOT NULL DEFAULT 0,
    next_at text,
    sent_at text,
    failure text,
    PRIMARY KEY (installation, id)
  );
  `,
];
