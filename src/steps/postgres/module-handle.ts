// `ctx.postgres(name)`: what a module step does to a PostgreSQL database. Every call begins the step's transaction where that is not begun yet.
import type { PostgresHandle, PostgresRow } from '../../step-api.ts';
import type { PostgresConnection } from './connection.ts';

const fetchedRows = 500;
let cursors = 0;

/** `check` throws for what a step may not send. */
export function postgresHandle(begin: (sql: string) => Promise<PostgresConnection>, check: (sql: string) => void): PostgresHandle {
  const run = async <Row extends Record<string, unknown>>(sql: string, values: readonly unknown[]) => {
    check(sql);
    const connection = await begin(sql);
    try {
      return await connection.query<Row>(sql, values);
    } catch (error) {
      throw hither(error);
    }
  };
  return {
    exec: async (sql) => {
      check(sql);
      const connection = await begin(sql);
      const { error } = await connection.send(sql);
      if (error !== null) throw hither(error);
    },
    query: async <Row = PostgresRow>(sql: string, values: readonly unknown[] = []) =>
      (await run<Record<string, unknown>>(sql, values)).rows as unknown as readonly Row[],
    get: async <Row = PostgresRow>(sql: string, values: readonly unknown[] = []) =>
      (await run<Record<string, unknown>>(sql, values)).rows[0] as unknown as Row | undefined,
    run: async (sql, values = []) => ({ rowCount: (await run(sql, values)).rowCount ?? 0 }),
    iterate: async function* <Row = PostgresRow>(sql: string, values: readonly unknown[] = []) {
      cursors += 1;
      const cursor = `rungs_${cursors}`;
      await run(`DECLARE ${cursor} NO SCROLL CURSOR FOR ${sql}`, values);
      try {
        for (;;) {
          const { rows } = await run<Record<string, unknown>>(`FETCH ${fetchedRows} FROM ${cursor}`, []);
          for (const row of rows) yield row as unknown as Row;
          if (rows.length < fetchedRows) break;
        }
      } finally {
        // A statement that has failed meanwhile has ended it too, and why it did is what has to be told.
        await run(`CLOSE ${cursor}`, []).catch(() => undefined);
      }
    },
  };
}

/** With the line of the step that asked for it, and not that of the socket which brought the answer. */
function hither(error: unknown): unknown {
  if (!(error instanceof Error)) return error;
  Error.captureStackTrace(error, hither);
  return error;
}
