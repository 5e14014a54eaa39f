// The writes to PostgreSQL's journal that come in batches: each is one statement, however many rows it is about.
import type { UpgradeEvent } from '../model/event.ts';
import { keptMessages, type NewMessage } from '../model/notification.ts';
import type { Plan } from '../model/plan.ts';
import type { SettledStep } from '../model/ports.ts';
import { planCommit } from './plan-commit.ts';
import type { Query } from './postgres-session.ts';

interface Where {
  readonly installation: string;
  readonly place: string;
  readonly host: string;
  readonly runId: string;
}

export async function intendSteps(
  query: Query,
  { installation, place, host, runId }: Where,
  stepIds: readonly string[],
  action: 'apply' | 'revert',
): Promise<void> {
  // Taking a step back does not change which host's files it has changed.
  const isApply = action === 'apply';
  await query(
    `UPDATE rungs.run_steps SET status = $4, attempts = attempts + $5::integer, started_at = COALESCE(started_at, $6)${isApply ? ', place = $7, host = $8' : ''}
     WHERE installation = $1 AND run_id = $2 AND step_id = ANY($3::text[])`,
    [installation, runId, stepIds, isApply ? 'running' : 'reverting', isApply ? 1 : 0, new Date().toISOString()].concat(
      isApply ? [place, host] : [],
    ),
  );
}

export async function settleSteps(query: Query, installation: string, runId: string, outcomes: readonly SettledStep[]): Promise<void> {
  await query(
    `UPDATE rungs.run_steps s
     SET status = o.status, duration_ms = COALESCE(o.duration_ms, s.duration_ms), failure = COALESCE(o.failure, s.failure)
     FROM unnest($3::text[], $4::text[], $5::float8[], $6::text[]) AS o(step_id, status, duration_ms, failure)
     WHERE s.installation = $1 AND s.run_id = $2 AND s.step_id = o.step_id`,
    [
      installation,
      runId,
      outcomes.map(({ stepId }) => stepId),
      outcomes.map(({ status }) => status),
      outcomes.map(({ durationMs }) => durationMs),
      outcomes.map(({ failure }) => (failure === undefined ? null : JSON.stringify(failure))),
    ],
  );
}

export async function insertEvents(query: Query, installation: string, events: readonly UpgradeEvent[]): Promise<void> {
  if (events.length === 0) return;
  await query(
    'INSERT INTO rungs.events (installation, run_id, seq, body) SELECT $1, e.* FROM unnest($2::text[], $3::integer[], $4::text[]) AS e',
    [installation, events.map(({ runId }) => runId), events.map(({ seq }) => seq), events.map((event) => JSON.stringify(event))],
  );
}

export async function enqueue(query: Query, installation: string, messages: readonly NewMessage[]): Promise<void> {
  await query(
    `INSERT INTO rungs.outbox (installation, id, target, body, next_at)
     SELECT $1, m.* FROM unnest($2::text[], $3::text[], $4::text[], $5::text[]) AS m ON CONFLICT DO NOTHING`,
    [
      installation,
      messages.map(({ id }) => id),
      messages.map(({ target }) => target),
      messages.map(({ notification }) => JSON.stringify(notification)),
      messages.map(({ notification }) => notification.finishedAt),
    ],
  );
  await query(
    `DELETE FROM rungs.outbox WHERE installation = $1 AND next_at IS NULL
       AND seq NOT IN (SELECT seq FROM rungs.outbox WHERE installation = $1 ORDER BY seq DESC LIMIT $2)`,
    [installation, keptMessages],
  );
}

export async function commitPlan(query: Query, installation: string, runId: string, plan: Plan): Promise<void> {
  const { transitions, steps, rungs, version } = planCommit(plan);
  const at = new Date().toISOString();
  await query('DELETE FROM rungs.applied_transitions WHERE installation = $1 AND transition_id = ANY($2::text[])', [
    installation,
    transitions.map(({ id }) => id),
  ]);
  await query(
    `INSERT INTO rungs.applied_transitions (installation, transition_id, run_id)
     SELECT $1, id, $2 FROM unnest($3::text[]) WITH ORDINALITY AS t(id, at) ORDER BY at`,
    [installation, runId, transitions.filter(({ isApplied }) => isApplied).map(({ id }) => id)],
  );
  await query('DELETE FROM rungs.applied_steps WHERE installation = $1 AND step_id = ANY($2::text[])', [
    installation,
    steps.map(({ id }) => id),
  ]);
  const applied = steps.filter(({ isApplied }) => isApplied);
  await query(
    `INSERT INTO rungs.applied_steps (installation, step_id, sha256, run_id, applied_at)
     SELECT $1, s.id, s.sha256, $2, $3 FROM unnest($4::text[], $5::text[]) AS s(id, sha256)`,
    [installation, runId, at, applied.map(({ id }) => id), applied.map(({ sha256 }) => sha256)],
  );
  await query(
    `DELETE FROM rungs.ladder_steps l USING unnest($2::text[], $3::bigint[]) AS r(ladder, number)
     WHERE l.installation = $1 AND l.ladder = r.ladder AND l.number = r.number`,
    [installation, rungs.map(({ ladder }) => ladder), rungs.map(({ number }) => number)],
  );
  const climbed = rungs.filter(({ isApplied }) => isApplied);
  await query(
    `INSERT INTO rungs.ladder_steps (installation, ladder, number, name, sha256, run_id, applied_at)
     SELECT $1, r.ladder, r.number, r.name, r.sha256, $2, $3
     FROM unnest($4::text[], $5::bigint[], $6::text[], $7::text[]) AS r(ladder, number, name, sha256)`,
    [
      installation,
      runId,
      at,
      climbed.map(({ ladder }) => ladder),
      climbed.map(({ number }) => number),
      climbed.map(({ name }) => name),
      climbed.map(({ sha256 }) => sha256),
    ],
  );
  if (version === null) return;
  await query(
    "INSERT INTO rungs.facts (installation, key, value) VALUES ($1, 'version', $2) ON CONFLICT (installation, key) DO UPDATE SET value = excluded.value",
    [installation, version],
  );
}
