// The journal of an installation of several hosts, in PostgreSQL. Given the database and the lock between the hosts, promises what SQLite's
// journal promises, and that it is so for all hosts: each write checks in its transaction that the lock is still ours. A batch is one statement.
import type { PostgresTarget } from '../databases/postgres/connect.ts';
import type { UpgradeEvent } from '../model/event.ts';
import type { AcceptedChecksum, LadderBaseline } from '../model/ladder.ts';
import { stepsOf, type Plan } from '../model/plan.ts';
import type { Journal, ServiceState } from '../model/ports.ts';
import type { Version } from '../model/version.ts';
import { openJournalTables } from './open-postgres.ts';
import { commitPlan, enqueue, insertEvents, intendSteps, settleSteps } from './postgres-writes.ts';
import type { Query, Row, WritePermit } from './postgres-session.ts';
import { appliedStepOf, backupOf, effectOf, ladderStepOf, latestRunOf, outboxEntryOf, parse, runOf, stepRecordOf } from './rows.ts';

export interface PostgresJournalOptions {
  readonly target: PostgresTarget;
  /** The same on all hosts; several installations may share a database. */
  readonly installation: string;
  /** Tells this state folder from that of another host. */
  readonly place: string;
  readonly host: string;
  /** `null`: reading alone, which makes nothing. */
  readonly permit: WritePermit | null;
}

/** Throws JOURNAL_NEWER, POSTGRES_UNREACHABLE, POSTGRES_POOLER, JOURNAL_WRITE_FAILED. `null`: reading, and nothing was ever recorded. */
export async function openPostgresJournal(options: PostgresJournalOptions): Promise<Journal | null> {
  const { installation: own, place } = options;
  const session = await openJournalTables(options.target, own, options.permit);
  if (session === null) return null;
  let pendingEvents: UpgradeEvent[] = [];

  const all = async <T>(shape: (row: Row) => T, text: string, ...values: readonly unknown[]): Promise<T[]> =>
    (await session.query(text, [own, ...values])).map(shape);
  const first = async <T>(shape: (row: Row) => T, text: string, ...values: readonly unknown[]): Promise<T | null> =>
    (await all(shape, text, ...values))[0] ?? null;
  const write = async (change: (query: Query) => Promise<unknown>): Promise<void> => {
    let written = 0;
    await session.write(async (query) => {
      const events = pendingEvents.slice();
      written = events.length;
      await change(query);
      await insertEvents(query, own, events);
    });
    pendingEvents = pendingEvents.slice(written);
  };
  return {
    async createRun(run, plan) {
      const steps = stepsOf(plan).map(({ id }) => id);
      await write(async (query) => {
        await query(
          `INSERT INTO rungs.runs (installation, id, product, from_version, to_version, direction, plan_hash, started_at, host, pid)
           VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)`,
          [own, run.id, run.product, run.from, run.to, run.direction, run.planHash, run.startedAt, run.host, run.pid],
        );
        await query('INSERT INTO rungs.plans (installation, run_id, plan) VALUES ($1, $2, $3)', [own, run.id, JSON.stringify(plan)]);
        await query(
          `INSERT INTO rungs.run_steps (installation, run_id, position, step_id, status)
           SELECT $1, $2, at - 1, id, 'pending' FROM unnest($3::text[]) WITH ORDINALITY AS s(id, at)`,
          [own, run.id, steps],
        );
        await query("UPDATE rungs.lock SET phase = 'preflight' WHERE installation = $1", [own]);
      });
    },
    frozenPlan: (runId) =>
      first(({ plan }) => parse<Plan>(plan), 'SELECT plan FROM rungs.plans WHERE installation = $1 AND run_id = $2', runId),
    run: (id) => first(runOf, 'SELECT * FROM rungs.runs WHERE installation = $1 AND id = $2', id),
    unfinishedRun: () => first(runOf, 'SELECT * FROM rungs.runs WHERE installation = $1 AND outcome IS NULL'),
    runs: (limit) => all(runOf, 'SELECT * FROM rungs.runs WHERE installation = $1 ORDER BY seq DESC LIMIT $2', limit ?? null),
    latestRun: () => first(latestRunOf, 'SELECT id, outcome FROM rungs.runs WHERE installation = $1 ORDER BY seq DESC LIMIT 1'),
    mark: async () =>
      String(
        await first(
          ({ mark }) => mark,
          `SELECT concat_ws(' ', r.id, r.phase, r.course, r.outcome, r.attempts,
             (SELECT max(seq) FROM rungs.events WHERE installation = $1 AND run_id = r.id),
             (SELECT max(seq) FROM rungs.backups WHERE installation = $1),
             (SELECT count(*) || '/' || max(applied_at) FROM rungs.ladder_steps WHERE installation = $1)) AS mark
           FROM (SELECT) AS one LEFT JOIN LATERAL (SELECT * FROM rungs.runs WHERE installation = $1 ORDER BY seq DESC LIMIT 1) r ON true`,
        ),
      ),
    takeUp: (runId, { host, pid, isAskedFor }) =>
      write(async (query) => {
        // A stranded run that somebody asks for by hand is taken up again, and its count begins anew.
        if (isAskedFor)
          await query(
            "UPDATE rungs.runs SET outcome = NULL, finished_at = NULL, attempts = 0 WHERE installation = $1 AND id = $2 AND outcome = 'stranded'",
            [own, runId],
          );
        await query('UPDATE rungs.runs SET attempts = attempts + 1, host = $3, pid = $4 WHERE installation = $1 AND id = $2', [
          own,
          runId,
          host,
          pid,
        ]);
      }),
    enterPhase: (runId, phase, course, failure) =>
      write(async (query) => {
        await query('UPDATE rungs.runs SET phase = $3, course = $4, failure = COALESCE(failure, $5) WHERE installation = $1 AND id = $2', [
          own,
          runId,
          phase,
          course,
          failure === undefined ? null : JSON.stringify(failure),
        ]);
        await query('UPDATE rungs.lock SET phase = $2 WHERE installation = $1', [own, phase]);
      }),
    recordBackup: (backup) =>
      write(async (query) => {
        await query(
          `INSERT INTO rungs.backups (installation, place, id, record) VALUES ($1, $2, $3, $4)
           ON CONFLICT (installation, id, place) DO UPDATE SET record = excluded.record`,
          [own, place, backup.id, JSON.stringify(backup)],
        );
        if (backup.runId !== null && backup.verified)
          await query('UPDATE rungs.runs SET backup_id = $3 WHERE installation = $1 AND id = $2', [own, backup.runId, backup.id]);
      }),
    // Another host's backup holds another host's files: to compare with it, or to restore from it, would be about the wrong ones.
    removeBackup: (id) =>
      write((query) => query('DELETE FROM rungs.backups WHERE installation = $1 AND id = $2 AND place = $3', [own, id, place])),
    backups: () => all(backupOf, 'SELECT record FROM rungs.backups WHERE installation = $1 AND place = $2 ORDER BY seq DESC', place),
    stepRecords: (runId) =>
      all(
        (row) => ({ ...stepRecordOf(row), ...(row.place === null || row.place === place ? {} : { elsewhere: String(row.host) }) }),
        'SELECT * FROM rungs.run_steps WHERE installation = $1 AND run_id = $2 ORDER BY position',
        runId,
      ),
    intendSteps: (runId, stepIds, action) => write((query) => intendSteps(query, { ...options, runId }, stepIds, action)),
    settleSteps: (runId, outcomes) => write((query) => settleSteps(query, own, runId, outcomes)),
    settleAndIntend: (runId, outcomes, stepIds, action) =>
      write(async (query) => {
        if (outcomes.length > 0) await settleSteps(query, own, runId, outcomes);
        await intendSteps(query, { ...options, runId }, stepIds, action);
      }),
    appliedSteps: () => all(appliedStepOf, 'SELECT * FROM rungs.applied_steps WHERE installation = $1'),
    committedPath: () =>
      all(
        ({ transition_id, run_id }) => ({ transition: String(transition_id), runId: String(run_id) }),
        'SELECT transition_id, run_id FROM rungs.applied_transitions WHERE installation = $1 ORDER BY seq',
      ),
    rememberServices: (runId, states) =>
      // What was there before the run is told once: a resume would see the middle of it.
      write((query) =>
        query(
          `INSERT INTO rungs.services (installation, run_id, name, before)
           SELECT $1, $2, name, before FROM unnest($3::text[], $4::text[]) AS s(name, before) ON CONFLICT DO NOTHING`,
          [own, runId, Object.keys(states), Object.values(states).map((state) => JSON.stringify(state))],
        ),
      ),
    async servicesBefore(runId) {
      return Object.fromEntries(
        await all(
          ({ name, before }): [string, ServiceState] => [String(name), parse(before)],
          'SELECT name, before FROM rungs.services WHERE installation = $1 AND run_id = $2',
          runId,
        ),
      );
    },
    intend: (runId, key, intent) =>
      write((query) =>
        query(
          `INSERT INTO rungs.effects (installation, run_id, key, intent) VALUES ($1, $2, $3, $4)
           ON CONFLICT (installation, run_id, key) DO UPDATE SET intent = excluded.intent, outcome = NULL`,
          [own, runId, key, JSON.stringify(intent ?? null)],
        ),
      ),
    settle: (runId, key, outcome) =>
      write((query) =>
        query('UPDATE rungs.effects SET outcome = $4 WHERE installation = $1 AND run_id = $2 AND key = $3', [
          own,
          runId,
          key,
          JSON.stringify(outcome ?? null),
        ]),
      ),
    effects: (runId) =>
      all(effectOf, 'SELECT * FROM rungs.effects WHERE installation = $1 AND run_id = $2 ORDER BY key COLLATE "C"', runId),
    finishRun: (runId, outcome, result, committed, messages = []) =>
      write(async (query) => {
        if (messages.length > 0) await enqueue(query, own, messages);
        if (committed !== undefined) await commitPlan(query, own, runId, committed);
        // A run that is over is not taken up again.
        if (outcome !== 'stranded') await query('DELETE FROM rungs.plans WHERE installation = $1 AND run_id = $2', [own, runId]);
        await query(
          'UPDATE rungs.runs SET outcome = $3, finished_at = $4, result = $5, failure = COALESCE(failure, $6) WHERE installation = $1 AND id = $2',
          [
            own,
            runId,
            outcome,
            new Date().toISOString(),
            JSON.stringify(result),
            result.failure === null ? null : JSON.stringify(result.failure),
          ],
        );
      }),
    async outbox() {
      const [found] = await session.query("SELECT to_regclass('rungs.outbox') IS NOT NULL AS there");
      if (found?.there !== true) return [];
      return all(outboxEntryOf, 'SELECT * FROM rungs.outbox WHERE installation = $1 ORDER BY seq DESC');
    },
    version: () =>
      first(({ value }) => String(value) as Version, "SELECT value FROM rungs.facts WHERE installation = $1 AND key = 'version'"),
    ladderBaselines: () =>
      all(
        ({ value }) => parse<LadderBaseline>(value),
        `SELECT value FROM rungs.facts WHERE installation = $1 AND key LIKE 'ladder:%' ORDER BY key COLLATE "C"`,
      ),
    ladderSteps: () =>
      all(
        (row) => ladderStepOf({ ...row, number: Number(row.number) }),
        'SELECT * FROM rungs.ladder_steps WHERE installation = $1 ORDER BY ladder COLLATE "C", number',
      ),
    adoptLadders: (ladders) =>
      write(async (query) => {
        for (const { baseline, steps } of ladders) {
          await saveFact(query, `ladder:${baseline.ladder}`, baseline);
          await query('DELETE FROM rungs.ladder_steps WHERE installation = $1 AND ladder = $2', [own, baseline.ladder]);
          await query(
            `INSERT INTO rungs.ladder_steps (installation, ladder, number, name, sha256, run_id, applied_at)
             SELECT $1, s.* FROM unnest($2::text[], $3::bigint[], $4::text[], $5::text[], $6::text[], $7::text[]) AS s`,
            [
              own,
              steps.map(({ ladder }) => ladder),
              steps.map(({ number }) => number),
              steps.map(({ name }) => name),
              steps.map(({ sha256 }) => sha256),
              steps.map(({ runId }) => runId),
              steps.map(({ appliedAt }) => appliedAt),
            ],
          );
        }
      }),
    acceptChecksums: (accepted) =>
      write(async (query) => {
        for (const one of accepted) {
          await query('UPDATE rungs.ladder_steps SET sha256 = $4 WHERE installation = $1 AND ladder = $2 AND number = $3', [
            own,
            one.ladder,
            one.number,
            one.now,
          ]);
          await saveFact(query, `accepted:${one.ladder}/${one.number}/${one.acceptedAt}`, one);
        }
      }),
    acceptedChecksums: () =>
      all(
        ({ value }) => parse<AcceptedChecksum>(value),
        "SELECT value FROM rungs.facts WHERE installation = $1 AND key LIKE 'accepted:%' ORDER BY value::json ->> 'acceptedAt' DESC",
      ),
    events: (runId, afterSeq = 0) =>
      all(
        ({ body }) => parse<UpgradeEvent>(body),
        'SELECT body FROM rungs.events WHERE installation = $1 AND run_id = $2 AND seq > $3 ORDER BY seq',
        runId,
        afterSeq,
      ),
    appendEvent(event) {
      pendingEvents.push(event);
    },
    async flush() {
      if (pendingEvents.length > 0) await write(async () => undefined);
    },
    async close() {
      try {
        if (pendingEvents.length > 0) await write(async () => undefined);
      } finally {
        await session.close();
      }
    },
  };

  function saveFact(query: Query, key: string, value: unknown): Promise<unknown> {
    return query(
      'INSERT INTO rungs.facts (installation, key, value) VALUES ($1, $2, $3) ON CONFLICT (installation, key) DO UPDATE SET value = excluded.value',
      [own, key, JSON.stringify(value)],
    );
  }
}
