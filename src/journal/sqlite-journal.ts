// The journal in SQLite: `state/journal.db`, WAL, every commit synced. Given the state folder, promises that what a method wrote is
// durable when it resolves. Events are kept in memory until the next commit: they tell a story, they decide nothing.
import type { SQLInputValue, StatementSync } from 'node:sqlite';
import type { UpgradeEvent } from '../model/event.ts';
import type { AcceptedChecksum, LadderBaseline } from '../model/ladder.ts';
import { keptMessages, type NewMessage } from '../model/notification.ts';
import type { Plan } from '../model/plan.ts';
import { stepsOf } from '../model/plan.ts';
import type { Journal, ServiceState, SettledStep } from '../model/ports.ts';
import type { Version } from '../model/version.ts';
import { openJournalDatabase } from './open.ts';
import { planCommit } from './plan-commit.ts';
import { appliedStepOf, backupOf, effectOf, ladderStepOf, latestRunOf, outboxEntryOf, parse, runOf, stepRecordOf } from './rows.ts';

export interface OpenOptions {
  readonly state: string;
  /** `write` makes the state folder and the tables where they are missing. */
  readonly mode: 'read' | 'write';
  /** Somebody may be writing to it: by default that is taken to be so. `false` leaves no trace at all beside what a killed run left. */
  readonly isHeld?: boolean;
}

/** Throws JOURNAL_CORRUPT, JOURNAL_MISSING, JOURNAL_NEWER. `null`: reading, and nothing was ever recorded. */
export function openSqliteJournal({ state, mode, isHeld = true }: OpenOptions): Journal | null {
  const database = openJournalDatabase(state, mode, isHeld);
  if (database === null) return null;
  const { db, write: commit } = database;
  const statements = new Map<string, StatementSync>();
  const sql = (text: string): StatementSync => {
    const known = statements.get(text) ?? db.prepare(text);
    statements.set(text, known);
    return known;
  };
  let pendingEvents: UpgradeEvent[] = [];

  const all = <T>(shape: (row: Record<string, unknown>) => T, text: string, ...values: SQLInputValue[]): T[] =>
    sql(text)
      .all(...values)
      .map(shape);
  const first = <T>(shape: (row: Record<string, unknown>) => T, text: string, ...values: SQLInputValue[]): T | null => {
    const row = sql(text).get(...values);
    return row === undefined ? null : shape(row);
  };
  const write = (change: () => void): void => {
    const events = pendingEvents;
    commit(() => {
      change();
      for (const event of events)
        sql('INSERT INTO events (run_id, seq, body) VALUES (?, ?, ?)').run(event.runId, event.seq, JSON.stringify(event));
    });
    pendingEvents = pendingEvents.slice(events.length);
  };

  return {
    async createRun(run, plan) {
      write(() => {
        sql(
          'INSERT INTO runs (id, product, from_version, to_version, direction, plan_hash, started_at, host, pid) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)',
        ).run(run.id, run.product, run.from, run.to, run.direction, run.planHash, run.startedAt, run.host, run.pid);
        const insert = sql("INSERT INTO run_steps (run_id, position, step_id, status) VALUES (?, ?, ?, 'pending')");
        for (const [position, step] of stepsOf(plan).entries()) insert.run(run.id, position, step.id);
      });
    },
    // It lies in the run's folder, which is on the same disk.
    async frozenPlan() {
      return null;
    },
    async run(id) {
      return first(runOf, 'SELECT * FROM runs WHERE id = ?', id);
    },
    async unfinishedRun() {
      return first(runOf, 'SELECT * FROM runs WHERE outcome IS NULL');
    },
    async runs(limit = -1) {
      return all(runOf, 'SELECT * FROM runs ORDER BY seq DESC LIMIT ?', limit);
    },
    async latestRun() {
      return first(latestRunOf, 'SELECT id, outcome FROM runs ORDER BY seq DESC LIMIT 1');
    },
    async mark() {
      return String(first(({ data_version }) => data_version, 'PRAGMA data_version'));
    },
    async takeUp(runId, { host, pid, isAskedFor }) {
      write(() => {
        // A stranded run that somebody asks for by hand is taken up again, and its count begins anew.
        if (isAskedFor)
          sql("UPDATE runs SET outcome = NULL, finished_at = NULL, attempts = 0 WHERE id = ? AND outcome = 'stranded'").run(runId);
        sql('UPDATE runs SET attempts = attempts + 1, host = ?, pid = ? WHERE id = ?').run(host, pid, runId);
      });
    },
    async enterPhase(runId, phase, course, failure) {
      write(() => {
        sql('UPDATE runs SET phase = ?, course = ?, failure = COALESCE(failure, ?) WHERE id = ?').run(
          phase,
          course,
          failure === undefined ? null : JSON.stringify(failure),
          runId,
        );
      });
    },
    async recordBackup(backup) {
      write(() => {
        sql('INSERT INTO backups (id, record) VALUES (?, ?) ON CONFLICT (id) DO UPDATE SET record = excluded.record').run(
          backup.id,
          JSON.stringify(backup),
        );
        if (backup.runId !== null && backup.verified) sql('UPDATE runs SET backup_id = ? WHERE id = ?').run(backup.id, backup.runId);
      });
    },
    async removeBackup(id) {
      write(() => sql('DELETE FROM backups WHERE id = ?').run(id));
    },
    async backups() {
      return all(backupOf, 'SELECT record FROM backups ORDER BY seq DESC');
    },
    async stepRecords(runId) {
      return all(stepRecordOf, 'SELECT * FROM run_steps WHERE run_id = ? ORDER BY position', runId);
    },
    async intendSteps(runId, stepIds, action) {
      write(() => intend(runId, stepIds, action));
    },
    async settleSteps(runId, outcomes) {
      write(() => settle(runId, outcomes));
    },
    async settleAndIntend(runId, outcomes, stepIds, action) {
      write(() => {
        settle(runId, outcomes);
        intend(runId, stepIds, action);
      });
    },
    async appliedSteps() {
      return all(appliedStepOf, 'SELECT * FROM applied_steps');
    },
    async committedPath() {
      return all(
        ({ transition_id, run_id }) => ({ transition: String(transition_id), runId: String(run_id) }),
        'SELECT transition_id, run_id FROM applied_transitions ORDER BY seq',
      );
    },
    async rememberServices(runId, states) {
      write(() => {
        // What was there before the run is told once: a resume would see the middle of it.
        const insert = sql('INSERT OR IGNORE INTO services (run_id, name, before) VALUES (?, ?, ?)');
        for (const [name, state] of Object.entries(states)) insert.run(runId, name, JSON.stringify(state));
      });
    },
    async servicesBefore(runId) {
      const rows = all(
        ({ name, before }): [string, ServiceState] => [String(name), parse(before)],
        'SELECT name, before FROM services WHERE run_id = ?',
        runId,
      );
      return Object.fromEntries(rows);
    },
    async intend(runId, key, intent) {
      write(() => {
        sql(
          'INSERT INTO effects (run_id, key, intent) VALUES (?, ?, ?) ON CONFLICT (run_id, key) DO UPDATE SET intent = excluded.intent, outcome = NULL',
        ).run(runId, key, JSON.stringify(intent ?? null));
      });
    },
    async settle(runId, key, outcome) {
      write(() => sql('UPDATE effects SET outcome = ? WHERE run_id = ? AND key = ?').run(JSON.stringify(outcome ?? null), runId, key));
    },
    async effects(runId) {
      return all(effectOf, 'SELECT * FROM effects WHERE run_id = ?', runId);
    },
    async finishRun(runId, outcome, result, committed, messages = []) {
      write(() => {
        enqueue(messages);
        if (committed !== undefined) commitPlan(committed, runId);
        sql('UPDATE runs SET outcome = ?, finished_at = ?, result = ?, failure = COALESCE(failure, ?) WHERE id = ?').run(
          outcome,
          new Date().toISOString(),
          JSON.stringify(result),
          result.failure === null ? null : JSON.stringify(result.failure),
          runId,
        );
      });
    },
    async outbox() {
      // An older journal that is only read has none.
      const isThere = first(() => true, "SELECT 1 FROM sqlite_schema WHERE name = 'outbox'") ?? false;
      return isThere ? all(outboxEntryOf, 'SELECT * FROM outbox ORDER BY seq DESC') : [];
    },
    async version() {
      return first(({ value }) => String(value) as Version, "SELECT value FROM facts WHERE key = 'version'");
    },
    async ladderBaselines() {
      return all(({ value }) => parse<LadderBaseline>(value), "SELECT value FROM facts WHERE key LIKE 'ladder:%' ORDER BY key");
    },
    async ladderSteps() {
      return all(ladderStepOf, 'SELECT * FROM ladder_steps ORDER BY ladder, number');
    },
    async adoptLadders(ladders) {
      write(() => {
        const insert = sql('INSERT INTO ladder_steps (ladder, number, name, sha256, run_id, applied_at) VALUES (?, ?, ?, ?, ?, ?)');
        for (const { baseline, steps } of ladders) {
          sql('INSERT OR REPLACE INTO facts (key, value) VALUES (?, ?)').run(`ladder:${baseline.ladder}`, JSON.stringify(baseline));
          sql('DELETE FROM ladder_steps WHERE ladder = ?').run(baseline.ladder);
          for (const { ladder, number, name, sha256, runId, appliedAt } of steps)
            insert.run(ladder, number, name, sha256, runId, appliedAt);
        }
      });
    },
    async acceptChecksums(accepted) {
      write(() => {
        for (const one of accepted) {
          sql('UPDATE ladder_steps SET sha256 = ? WHERE ladder = ? AND number = ?').run(one.now, one.ladder, one.number);
          sql('INSERT OR REPLACE INTO facts (key, value) VALUES (?, ?)').run(
            `accepted:${one.ladder}/${one.number}/${one.acceptedAt}`,
            JSON.stringify(one),
          );
        }
      });
    },
    async acceptedChecksums() {
      return all(
        ({ value }) => parse<AcceptedChecksum>(value),
        "SELECT value FROM facts WHERE key LIKE 'accepted:%' ORDER BY value ->> 'acceptedAt' DESC",
      );
    },
    async events(runId, afterSeq = 0) {
      return all(
        ({ body }) => parse<UpgradeEvent>(body),
        'SELECT body FROM events WHERE run_id = ? AND seq > ? ORDER BY seq',
        runId,
        afterSeq,
      );
    },
    appendEvent(event) {
      pendingEvents.push(event);
    },
    async flush() {
      if (pendingEvents.length > 0) write(() => undefined);
    },
    async close() {
      try {
        if (pendingEvents.length > 0) write(() => undefined);
      } finally {
        db.close();
      }
    },
  };

  function intend(runId: string, stepIds: readonly string[], action: 'apply' | 'revert'): void {
    const status = action === 'apply' ? 'running' : 'reverting';
    const at = new Date().toISOString();
    const update = sql(
      'UPDATE run_steps SET status = ?, attempts = attempts + ?, started_at = COALESCE(started_at, ?) WHERE run_id = ? AND step_id = ?',
    );
    for (const id of stepIds) update.run(status, action === 'apply' ? 1 : 0, at, runId, id);
  }

  function settle(runId: string, outcomes: readonly SettledStep[]): void {
    const update = sql(
      'UPDATE run_steps SET status = ?, duration_ms = COALESCE(?, duration_ms), failure = COALESCE(?, failure) WHERE run_id = ? AND step_id = ?',
    );
    for (const { stepId, status, durationMs, failure } of outcomes) {
      update.run(status, durationMs, failure === undefined ? null : JSON.stringify(failure), runId, stepId);
    }
  }

  function enqueue(messages: readonly NewMessage[]): void {
    const insert = sql('INSERT OR IGNORE INTO outbox (id, target, body, next_at) VALUES (?, ?, ?, ?)');
    for (const { id, target, notification } of messages) insert.run(id, target, JSON.stringify(notification), notification.finishedAt);
    if (messages.length > 0) sql('DELETE FROM outbox WHERE next_at IS NULL AND seq <= (SELECT max(seq) FROM outbox) - ?').run(keptMessages);
  }

  function commitPlan(plan: Plan, runId: string): void {
    const at = new Date().toISOString();
    const { transitions, steps, rungs, version } = planCommit(plan);
    for (const { id, isApplied } of transitions) {
      sql('DELETE FROM applied_transitions WHERE transition_id = ?').run(id);
      if (isApplied) sql('INSERT INTO applied_transitions (transition_id, run_id) VALUES (?, ?)').run(id, runId);
    }
    for (const { id, sha256, isApplied } of steps) {
      if (isApplied)
        sql('INSERT OR REPLACE INTO applied_steps (step_id, sha256, run_id, applied_at) VALUES (?, ?, ?, ?)').run(id, sha256, runId, at);
      else sql('DELETE FROM applied_steps WHERE step_id = ?').run(id);
    }
    for (const { ladder, number, name, sha256, isApplied } of rungs) {
      if (isApplied)
        sql('INSERT OR REPLACE INTO ladder_steps (ladder, number, name, sha256, run_id, applied_at) VALUES (?, ?, ?, ?, ?, ?)').run(
          ladder,
          number,
          name,
          sha256,
          runId,
          at,
        );
      else sql('DELETE FROM ladder_steps WHERE ladder = ? AND number = ?').run(ladder, number);
    }
    if (version === null) return;
    sql("INSERT INTO facts (key, value) VALUES ('version', ?) ON CONFLICT (key) DO UPDATE SET value = excluded.value").run(version);
  }
}
