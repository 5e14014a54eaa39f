// The journal's tables. A newer Rungs brings an older journal up to date; an older one refuses a newer journal.
export const journalVersion = 2;

/** `upgrades[n]` takes a journal from version n to n + 1. */
export const journalUpgrades: readonly string[] = [
  `
  CREATE TABLE facts (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;

  CREATE TABLE runs (
    seq INTEGER PRIMARY KEY,
    id TEXT NOT NULL UNIQUE,
    product TEXT NOT NULL,
    from_version TEXT,
    to_version TEXT,
    direction TEXT NOT NULL,
    plan_hash TEXT NOT NULL,
    course TEXT NOT NULL DEFAULT 'forwards',
    phase TEXT NOT NULL DEFAULT 'preflight',
    started_at TEXT NOT NULL,
    finished_at TEXT,
    outcome TEXT,
    failure TEXT,
    backup_id TEXT,
    attempts INTEGER NOT NULL DEFAULT 1,
    host TEXT NOT NULL,
    pid INTEGER NOT NULL,
    result TEXT
  );
  -- At most one run is unfinished: the database itself refuses a second.
  CREATE UNIQUE INDEX one_unfinished_run ON runs ((outcome IS NULL)) WHERE outcome IS NULL;

  CREATE TABLE run_steps (
    run_id TEXT NOT NULL,
    position INTEGER NOT NULL,
    step_id TEXT NOT NULL,
    status TEXT NOT NULL,
    attempts INTEGER NOT NULL DEFAULT 0,
    started_at TEXT,
    duration_ms REAL,
    failure TEXT,
    PRIMARY KEY (run_id, step_id)
  ) WITHOUT ROWID;

  CREATE TABLE applied_steps (
    step_id TEXT PRIMARY KEY,
    sha256 TEXT NOT NULL,
    run_id TEXT NOT NULL,
    applied_at TEXT NOT NULL
  ) WITHOUT ROWID;

  CREATE TABLE applied_transitions (
    seq INTEGER PRIMARY KEY,
    transition_id TEXT NOT NULL UNIQUE,
    run_id TEXT NOT NULL
  );

  CREATE TABLE ladder_steps (
    ladder TEXT NOT NULL,
    number INTEGER NOT NULL,
    name TEXT NOT NULL,
    sha256 TEXT,
    run_id TEXT,
    applied_at TEXT NOT NULL,
    PRIMARY KEY (ladder, number)
  ) WITHOUT ROWID;

  CREATE TABLE backups (
    seq INTEGER PRIMARY KEY,
    id TEXT NOT NULL UNIQUE,
    record TEXT NOT NULL
  );

  CREATE TABLE services (
    run_id TEXT NOT NULL,
    name TEXT NOT NULL,
    before TEXT NOT NULL,
    PRIMARY KEY (run_id, name)
  ) WITHOUT ROWID;

  CREATE TABLE effects (
    run_id TEXT NOT NULL,
    key TEXT NOT NULL,
    intent TEXT NOT NULL,
    outcome TEXT,
    PRIMARY KEY (run_id, key)
  ) WITHOUT ROWID;

  CREATE TABLE events (
    run_id TEXT NOT NULL,
    seq INTEGER NOT NULL,
    body TEXT NOT NULL,
    PRIMARY KEY (run_id, seq)
  ) WITHOUT ROWID;
  `,
  `
  -- Who is still to be told about the end of a run. Nobody tries before next_at; without one it is over.
  CREATE TABLE outbox (
    seq INTEGER PRIMARY KEY,
    id TEXT NOT NULL UNIQUE,
    target TEXT NOT NULL,
    body TEXT NOT NULL,
    attempts INTEGER NOT NULL DEFAULT 0,
    next_at TEXT,
    sent_at TEXT,
    failure TEXT
  );
  `,
];
