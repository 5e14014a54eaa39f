// Steps that write down themselves that they ran: when, in which session, and who held the lock between hosts meanwhile.
import { expect } from 'vitest';
import type { TestPostgres } from '../../support/postgres.ts';

export const journalInPostgres = `product: fleet
version: { journal: true }
journal: { postgres: "\${JOURNAL_URL}" }
databases: { main: { postgres: "\${DATABASE_URL}", connect: { attempts: 8, backoff: 200ms } } }
ladders: { main: { dir: DIR/db, database: main } }
migrations: DIR/releases
backup: { include: [upgrade.yaml] }
`;

/** Made by the test, so that steps have nothing to forgive: a second insert of a step is counted, not refused. */
export async function makeAppliedLog(postgres: TestPostgres, url: string): Promise<void> {
  await postgres.query(
    url,
    `CREATE TABLE applied_log (step int NOT NULL, started timestamptz NOT NULL DEFAULT clock_timestamp(), ended timestamptz, backend int DEFAULT pg_backend_pid(), holder text)`,
  );
}

/** `gate`: the step in the middle waits until the test lets go of the advisory lock with this number. */
export function loggedSteps(count: number, { gateAt = 0 }: { readonly gateAt?: number } = {}): Readonly<Record<string, string>> {
  const steps = Array.from({ length: count }, (_, at): readonly [string, string] => {
    const step = at + 1;
    return [
      `db/${String(step).padStart(3, '0')}_step.sql`,
      [
        `CREATE TABLE made_by_${step} (id integer);`,
        `INSERT INTO applied_log (step, holder) SELECT ${step}, (${holders});`,
        step === gateAt ? `SELECT pg_advisory_xact_lock(${gate});` : 'SELECT pg_sleep(0.002);',
        `UPDATE applied_log SET ended = clock_timestamp() WHERE step = ${step} AND ended IS NULL;`,
        '-- backward',
        `DROP TABLE made_by_${step};`,
        `DELETE FROM applied_log WHERE step = ${step};`,
        '',
      ].join('\n'),
    ];
  });
  return Object.fromEntries(steps);
}

export const gate = 424_242;
// The lock's sessions name themselves; who merely waits has not been granted it.
const holders = `SELECT string_agg(a.application_name, ' and ') FROM pg_locks l JOIN pg_stat_activity a USING (pid)
  WHERE l.locktype = 'advisory' AND l.granted AND a.application_name LIKE 'rungs lock %'`;

/**
 * Each step ran once and to its end, one after the other, each under one holder's lock. `isHolderKilled`: what the server had been sent by then
 * it may go on with, without the lock, until the next holder ends that session before it looks at anything.
 */
export async function expectEachStepOnce(
  postgres: TestPostgres,
  url: string,
  count: number,
  { isHolderKilled = false }: { readonly isHolderKilled?: boolean } = {},
): Promise<void> {
  const rows = await postgres.query(url, 'SELECT step, started, ended, backend, holder FROM applied_log ORDER BY started');
  expect(rows.map(({ step }) => step)).toEqual(Array.from({ length: count }, (_, at) => at + 1));
  for (const [at, { started, ended, backend, holder }] of rows.entries()) {
    const isLeftOver = isHolderKilled && holder === null && backend === rows[0]?.backend;
    if (!isLeftOver) expect(String(holder), 'a step without the lock, or under two').toMatch(/^rungs lock \S+ \d+$/);
    expect(ended).not.toBeNull();
    const before = rows[at - 1];
    if (before !== undefined) expect(Number(before.ended)).toBeLessThanOrEqual(Number(started));
  }
}

/** Whether a step waits before the gate. */
export async function atGate(postgres: TestPostgres, url: string): Promise<boolean> {
  const rows = await postgres.query(
    url,
    `SELECT 1 FROM pg_locks WHERE locktype = 'advisory' AND NOT granted AND objid = ${gate} AND database = (SELECT oid FROM pg_database WHERE datname = current_database())`,
  );
  return rows.length > 0;
}
