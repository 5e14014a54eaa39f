// The PostgreSQL databases of one half of a module step. Promises one transaction per database, committed with its marker at the end.
import { isDeepStrictEqual } from 'node:util';
import type { QueryResult } from 'pg';
import { fail, messageOf } from '../../model/failure.ts';
import type { UpgradeError } from '../../model/failure.ts';
import { postgresTransactionWord } from '../../model/own-transaction.ts';
import { splitPostgres } from '../../model/postgres-statements.ts';
import type { PostgresHandle } from '../../step-api.ts';
import { effectsOf } from '../host/effects.ts';
import type { HostOrder, HostRun } from '../host/protocol.ts';
import type { PostgresConnection, PostgresConnections } from './connection.ts';
import { clearMarkerSql, literal, readPostgresMarkers, setMarkerSql } from './marker-table.ts';
import type { FoundMarkers } from './marker-table.ts';
import { postgresHandle } from './module-handle.ts';
import { limits } from './sql-half.ts';

export interface PostgresModuleSession {
  readonly handle: (name: string) => PostgresHandle;
  /** Databases in which something was begun, in the order of their first use. */
  readonly used: () => readonly string[];
  /** Puts the marker into each transaction; nothing is committed yet. `databases`: all that the half is committed to. */
  readonly mark: (databases: readonly string[], keys: readonly string[]) => Promise<void>;
  /** Commits one after the other. Where the connection is lost on the way, the marker decides. */
  readonly commit: () => Promise<void>;
  /** Commits what was done so far, with the value in the first database. */
  readonly saveCheckpoint: (key: string, value: unknown) => Promise<void>;
  /** What earlier attempts of the half have left, of the databases that can be reached. */
  readonly readSaved: () => Promise<readonly FoundMarkers[]>;
  /** One database for `ctx.batches`, to be committed apart from the others; what it saves lies under the key. */
  readonly batchStore: (name: string, key: string) => PostgresBatchStore;
  /** Something that differs whenever more was written in a transaction that is open now, for each database but one. */
  readonly writes: (except: string) => Promise<ReadonlyMap<string, string>>;
  readonly abandon: () => Promise<void>;
}

/** Commits one database in pieces, each together with how far the work is. */
export interface PostgresBatchStore {
  readonly handle: PostgresHandle;
  readonly query: (text: string, values: readonly unknown[]) => Promise<QueryResult<Record<string, unknown>>>;
  readonly saved: () => Promise<unknown>;
  readonly begin: () => Promise<void>;
  readonly commit: (value: unknown) => Promise<void>;
  /** Back to the last commit. */
  readonly rollback: () => Promise<void>;
}

/** Of a transaction that has only read. */
export const nothingWritten = ' 0';

const writesSql = `SELECT coalesce(txid_current_if_assigned()::text, '') || ' ' ||
  (SELECT coalesce(sum(n_tup_ins + n_tup_upd + n_tup_del), 0) FROM pg_stat_xact_all_tables WHERE schemaname NOT LIKE 'pg\\_%') AS writes`;

interface Use {
  readonly connection: PostgresConnection;
  begun: Promise<void> | null;
  hasTraces: boolean;
}

export function openPostgresModuleSession(
  order: HostOrder,
  run: HostRun,
  connections: PostgresConnections,
  request: {
    readonly note: (name: string) => void;
    readonly signal: AbortSignal;
  },
): PostgresModuleSession {
  const uses = new Map<string, Promise<Use>>();
  const inOrder: string[] = [];
  let isOver = false;

  const endAll = (): void => {
    for (const use of uses.values())
      void use.then(async ({ connection }) => connections.settle(connection, order.id)).catch(() => undefined);
  };

  const useOf = async (name: string): Promise<Use> => {
    let found = uses.get(name);
    if (found === undefined) {
      if (uses.size === 0) request.signal.addEventListener('abort', endAll, { once: true });
      found = connections.open(name, order.id).then((connection) => ({ connection, begun: null, hasTraces: false }));
      uses.set(name, found);
    }
    return found;
  };

  const begin = async (name: string, text: string): Promise<PostgresConnection> => {
    if (isOver) throw new Error(`step ${order.id} used database ${name} after it had ended`);
    request.signal.throwIfAborted();
    const use = await useOf(name);
    use.hasTraces ||= mayLeaveTraces.test(text);
    if (use.begun === null) {
      request.note(name);
      if (!inOrder.includes(name)) inOrder.push(name);
      use.begun = use.connection.send(['BEGIN', ...limits(order)].join(';')).then(({ error }) => {
        if (error !== null) throw error;
      });
    }
    await use.begun;
    return use.connection;
  };

  const begun = async (): Promise<readonly Use[]> => {
    const all = await Promise.all(inOrder.map(useOf));
    return all.filter((use) => use.begun !== null);
  };

  /** `tookEffect`: what the server holds once the session is surely gone. */
  const commitOne = async (use: Use, tookEffect: (markers: FoundMarkers) => boolean): Promise<void> => {
    const { connection } = use;
    // Whatever the step has set for itself must not make the commit a promise only.
    const { error, completed } = await connection.send('SET LOCAL synchronous_commit = on; COMMIT');
    use.begun = null;
    if (error === null && completed.at(-1) === 'COMMIT') return;
    if (!connection.isLost())
      throw error ?? new Error(`a statement had failed, so the server has not committed the step in ${connection.name}`);
    uses.delete(connection.name);
    if (!tookEffect(await connections.settle(connection, order.id))) throw lost(connection.name, error);
  };

  const lost = (database: string, error: unknown): UpgradeError =>
    fail(
      'STEP_CONNECTION_LOST',
      { step: order.id, direction: order.direction, database, error: messageOf(error) },
      { step: order.id },
      error,
    );

  const resetTraces = async (): Promise<void> => {
    for (const use of await Promise.allSettled(uses.values())) {
      if (use.status === 'rejected' || !use.value.hasTraces || use.value.connection.isLost()) continue;
      await use.value.connection.reset().catch(async () => use.value.connection.end());
    }
  };

  return {
    handle: (name) =>
      postgresHandle(
        async (text) => begin(name, text),
        (sql) => checkStatements(sql, order),
      ),
    used: () => inOrder,
    mark: async (databases, keys) => {
      isOver = true;
      // A revert also ends the marker of databases that only its apply had used.
      const names = order.action === 'revert' ? [...new Set([...inOrder, ...notedByApply(order, run)])] : inOrder;
      for (const name of names) {
        const use = await useOf(name);
        const { markerTable, attempt } = use.connection;
        const sql = [
          ...(use.begun === null ? ['BEGIN'] : ['RESET SESSION AUTHORIZATION', 'RESET ROLE']),
          order.action === 'apply'
            ? setMarkerSql(markerTable, { runId: run.runId, key: order.id, value: databases, attempt })
            : clearMarkerSql(markerTable, run.runId, order.id),
          ...(keys.length === 0
            ? []
            : [`DELETE FROM ${markerTable} WHERE run_id = ${literal(run.runId)} AND step_id IN (${keys.map(literal).join(', ')})`]),
        ];
        const { error } = await use.connection.send(sql.join(';'));
        if (error !== null) throw use.connection.isLost() ? lost(name, error) : error;
        use.begun ??= Promise.resolve();
        if (!inOrder.includes(name)) inOrder.push(name);
      }
    },
    commit: async () => {
      for (const use of await begun()) await commitOne(use, (markers) => (markers.find(order.id) !== null) === (order.action === 'apply'));
      await resetTraces();
      request.signal.removeEventListener('abort', endAll);
    },
    saveCheckpoint: async (key, value) => {
      const [first, ...others] = await begun();
      if (first === undefined) return;
      const { markerTable, attempt } = first.connection;
      const saved = await first.connection.send(setMarkerSql(markerTable, { runId: run.runId, key, value: { value }, attempt }));
      if (saved.error !== null) throw saved.error;
      const asJson: unknown = JSON.parse(JSON.stringify({ value }));
      await commitOne(first, ({ checkpoint }) => isDeepStrictEqual({ ...checkpoint(key) }, asJson));
      for (const use of others) await commitOne(use, () => false);
    },
    batchStore: (name, key) => ({
      handle: postgresHandle(
        async (text) => begin(name, text),
        (sql) => checkStatements(sql, order),
      ),
      query: async (text, values) => (await begin(name, '')).query(text, values),
      saved: async () => (await readPostgresMarkers(await begin(name, ''), run.runId)).checkpoint(key)?.value,
      begin: async () => void (await begin(name, '')),
      commit: async (value) => {
        const use = await useOf(name);
        const { markerTable, attempt } = await begin(name, '');
        const marker = setMarkerSql(markerTable, { runId: run.runId, key, value: { value }, attempt });
        const { error } = await use.connection.send(marker);
        if (error !== null) throw use.connection.isLost() ? lost(name, error) : error;
        const asJson: unknown = JSON.parse(JSON.stringify({ value }));
        await commitOne(use, ({ checkpoint }) => isDeepStrictEqual({ ...checkpoint(key) }, asJson));
      },
      rollback: async () => {
        const use = await useOf(name);
        if (use.connection.isLost() || use.begun === null) return;
        use.begun = null;
        const { error } = await use.connection.send('ROLLBACK');
        if (error !== null) throw use.connection.isLost() ? lost(name, error) : error;
      },
    }),
    writes: async (except) => {
      const found = new Map<string, string>();
      for (const { connection } of await begun()) {
        if (connection.name === except) continue;
        const { rows } = await connection.query<{ writes: string }>(writesSql);
        found.set(connection.name, String(rows[0]?.writes));
      }
      return found;
    },
    readSaved: async () => {
      const found: FoundMarkers[] = [];
      for (const [name, { kind }] of Object.entries(run.databases)) {
        if (kind !== 'postgres') continue;
        const connection = await connections.open(name, order.id);
        found.push(await readPostgresMarkers(connection, run.runId));
      }
      return found;
    },
    abandon: async () => {
      isOver = true;
      for (const use of await begun().catch(() => [])) {
        if (!use.connection.isLost()) await use.connection.send('ROLLBACK');
        // The outcome is only told when nothing of the step goes on in the server.
        else await connections.settle(use.connection, order.id).catch(() => undefined);
      }
      await resetTraces();
      request.signal.removeEventListener('abort', endAll);
    },
  };
}

const mayLeaveTraces = /\b(?:set|set_config|temp|temporary|prepare|listen|load|pg_(?:try_)?advisory_lock\w*)\b/i;

function checkStatements(sql: string, order: HostOrder): void {
  const { statements, psql } = splitPostgres(sql);
  const [used] = psql;
  if (used !== undefined) throw new Error(`${used.text} is understood by psql only, not by a server`);
  for (const statement of statements) {
    const word = postgresTransactionWord(statement);
    if (word !== null) throw fail('STEP_OWN_TRANSACTION', { step: order.id, file: order.file, line: null, word }, { step: order.id });
  }
}

function notedByApply(order: HostOrder, run: HostRun): readonly string[] {
  if (order.isDatabaseOnly) return [];
  return effectsOf(run.runDir, order.id, 'apply').flatMap(({ kind, name }) =>
    kind === 'database' && run.databases[name]?.kind === 'postgres' ? [name] : [],
  );
}
