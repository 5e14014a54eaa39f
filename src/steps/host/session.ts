// The databases, checkpoint and effects of one half of a module step. Promises one transaction per database, committed with its marker at the end.
import { fail, messageOf } from '../../model/failure.ts';
import type { Checkpoint, PostgresHandle, SqliteHandle, SqlParameters, SqlRow } from '../../step-api.ts';
import type { FoundMarkers } from '../postgres/marker-table.ts';
import { nothingWritten, openPostgresModuleSession } from '../postgres/module-session.ts';
import type { PostgresBatchStore } from '../postgres/module-session.ts';
import { checkpointFile, readCheckpointFile, saveCheckpointFile } from './checkpoint-file.ts';
import { databaseOf, isBusy } from './connections.ts';
import type { Connection, Connections } from './connections.ts';
import { noteEffect } from './effects.ts';
import type { EffectKind } from './effects.ts';
import { suspendForeignKeys } from './foreign-keys.ts';
import type { ForeignKeyWatch } from './foreign-keys.ts';
import { batchesKey, checkpointKey, savedKeys } from './markers.ts';
import type { HostOrder, HostRun } from './protocol.ts';
import { synchronousDatabase } from './synchronous-database.ts';
import type { SynchronousDatabase } from './synchronous-database.ts';
import { foreignKeysPragma, splitStatements, transactionWord } from './sql-statements.ts';

export interface Session {
  readonly sqlite: (name: string) => SqliteHandle;
  /** The database as other tools' steps know it. `text` is the step's code: a rebuild of a table in it needs foreign keys off from the start. */
  readonly synchronous: (name: string, text: string) => SynchronousDatabase;
  readonly checkpoint: Checkpoint;
  /** One database for `ctx.batches`, to be committed apart from the others. */
  readonly batchStore: (name: string) => BatchStore;
  readonly postgresBatchStore: (name: string) => PostgresBatchStore;
  /** From now on it is looked who changes another database; what it gives names those that were changed. */
  readonly watchOthers: (name: string) => Promise<() => Promise<readonly string[]>>;
  readonly note: (kind: EffectKind, name: string) => void;
  readonly postgres: (name: string) => PostgresHandle;
  /** What earlier attempts saved in servers, which cannot be asked for at once; needed only by a step that looks. */
  readonly readSaved: () => Promise<void>;
  /** Commits every database with its marker: PostgreSQL first, as a server can still refuse, then SQLite, each in the order of first use. */
  readonly complete: () => Promise<void>;
  readonly abandon: () => Promise<void>;
}

/** Commits one database in pieces, each together with how far the work is. */
export interface BatchStore {
  readonly connection: Connection;
  readonly handle: SqliteHandle;
  /** What was saved with the last commit of this half, by this attempt or by one before; `undefined` where nothing was. */
  readonly saved: () => unknown;
  readonly begin: () => void;
  readonly commit: (value: unknown) => void;
  /** Back to the last commit. */
  readonly rollback: () => void;
}

export function openSession(order: HostOrder, run: HostRun, connections: Connections, signal: AbortSignal): Session {
  const used = new Map<string, Connection>();
  const watches = new Map<string, ForeignKeyWatch>();
  const noted = new Set<string>();
  const key = checkpointKey(order.id, order.action);
  let isOver = false;
  let onBegin: (connection: Connection) => void = () => {};

  const note = (kind: EffectKind, name: string): void => {
    // Its marker tells it all, and each line that is written makes the next commit dearer.
    if (order.isDatabaseOnly || noted.has(`${kind} ${name}`)) return;
    noted.add(`${kind} ${name}`);
    noteEffect(run.runDir, { step: order.id, action: order.action, kind, name }, kind !== 'database');
  };

  const servers = openPostgresModuleSession(order, run, connections.postgres, { note: (name) => note('database', name), signal });
  let savedInServers: readonly FoundMarkers[] | Error = [];

  const begin = (connection: Connection): void => {
    if (isOver) throw new Error(`step ${order.id} used database ${connection.name} after it had ended`);
    if (connection.isInTransaction()) return;
    note('database', connection.name);
    try {
      connection.begin();
    } catch (error) {
      if (isBusy(error))
        throw fail('STEP_DATABASE_BUSY', { step: order.id, database: connection.name, waitedMs: run.busyMs }, { step: order.id });
      throw error;
    }
    used.set(connection.name, connection);
    onBegin(connection);
  };

  const exec = (connection: Connection, sql: string): void => {
    for (const statement of splitStatements(sql)) {
      const word = transactionWord(statement);
      if (word !== null) throw fail('STEP_OWN_TRANSACTION', { step: order.id, file: order.file, line: null, word }, { step: order.id });
      // Before the transaction, where it still has an effect; within one SQLite ignores it.
      if (foreignKeysPragma(statement) === 'off' && !connection.isInTransaction() && !watches.has(connection.name)) {
        watches.set(connection.name, suspendForeignKeys(connection.db));
        continue;
      }
      begin(connection);
      connection.db.exec(statement.text);
    }
  };

  const checkForeignKeys = (): void => {
    for (const [name, watch] of watches) {
      const tables = watch.broken();
      if (tables.length > 0)
        throw fail('STEP_FOREIGN_KEYS', { step: order.id, direction: order.direction, database: name, tables }, { step: order.id });
    }
  };

  const restoreForeignKeys = (): void => {
    for (const watch of watches.values()) watch.restore();
    watches.clear();
  };

  const open = (name: string): Connection => connections.open(databaseOf(run, name, order.id, 'sqlite'), order.id);

  return {
    note,
    sqlite: (name) => handleFor(open(name), begin, exec),
    synchronous: (name, text) => {
      const connection = open(name);
      // DROP TABLE would delete what refers to the table.
      if (rebuildsTable.test(text)) watches.set(name, suspendForeignKeys(connection.db));
      return synchronousDatabase(connection, {
        begin: () => begin(connection),
        exec: (sql) => exec(connection, sql),
      });
    },
    batchStore: (name) => {
      const connection = open(name);
      const placesKey = batchesKey(order.id, order.action);
      return {
        connection,
        handle: handleFor(connection, begin, exec),
        saved: () => connection.markers.checkpoint(run.runId, placesKey)?.value,
        begin: () => begin(connection),
        commit: (value) => {
          checkForeignKeys();
          note('checkpoint', name);
          connection.expectInPlace(order.id);
          begin(connection);
          connection.markers.saveCheckpoint(run.runId, placesKey, value);
          connection.commit();
        },
        rollback: () => connection.rollback(),
      };
    },
    postgresBatchStore: (name) => {
      const store = servers.batchStore(name, batchesKey(order.id, order.action));
      return {
        ...store,
        commit: async (value) => {
          note('checkpoint', name);
          await store.commit(value);
        },
      };
    },
    watchOthers: async (name) => {
      const before = new Map<Connection, string>();
      onBegin = (other) => void (other.name !== name && before.set(other, writesOf(other)));
      for (const each of used.values()) onBegin(each);
      const inServers = await servers.writes(name);
      return async () => {
        onBegin = () => {};
        const here = [...before].filter(([other, writes]) => writesOf(other) !== writes).map(([other]) => other.name);
        const there = [...(await servers.writes(name))].filter(([other, writes]) => writes !== (inServers.get(other) ?? nothingWritten));
        return [...here, ...there.map(([other]) => other)];
      };
    },
    postgres: (name) => servers.handle(databaseOf(run, name, order.id, 'postgres')),
    readSaved: async () => {
      // One that cannot be reached is only missed where somebody looks.
      savedInServers = await servers.readSaved().catch((error: unknown) => (error instanceof Error ? error : new Error(messageOf(error))));
    },
    checkpoint: {
      get value(): unknown {
        if (savedInServers instanceof Error) throw savedInServers;
        const saved = savedInServers.map(({ checkpoint }) => checkpoint(key)).find((each) => each !== null);
        if (saved !== undefined && saved !== null) return saved.value;
        return savedCheckpoint(run, order, connections, key);
      },
      save: async (value) => {
        const [target] = used.values();
        const [server] = servers.used();
        if (server !== undefined) {
          note('checkpoint', server);
          await servers.saveCheckpoint(key, value);
          for (const connection of used.values()) if (connection.isInTransaction()) connection.commit();
          return;
        }
        if (target === undefined) return saveCheckpointFile(checkpointFile(run.runDir, order.id, order.action), value);
        checkForeignKeys();
        note('checkpoint', target.name);
        begin(target);
        target.markers.saveCheckpoint(run.runId, key, value);
        for (const connection of used.values()) if (connection.isInTransaction()) connection.commit();
      },
    },
    complete: async () => {
      isOver = true;
      checkForeignKeys();
      const names = [...servers.used(), ...used.keys()];
      // A revert also ends the marker of databases that only its apply had used.
      const marked = order.action === 'revert' ? markedConnections(run, order, connections, used) : [...used.values()];
      await servers.mark(names, savedByHalves(order));
      for (const connection of marked) {
        connection.expectInPlace(order.id);
        if (!connection.isInTransaction()) connection.begin();
        if (order.action === 'apply') connection.markers.set(run.runId, order.id, names);
        else connection.markers.clear(run.runId, order.id);
        for (const saved of savedByHalves(order)) connection.markers.dropCheckpoint(run.runId, saved);
      }
      await servers.commit();
      for (const connection of marked) connection.commit();
      restoreForeignKeys();
    },
    abandon: async () => {
      isOver = true;
      for (const connection of used.values()) connection.rollback();
      restoreForeignKeys();
      await servers.abandon();
    },
  };
}

/** Differs whenever this connection has written rows or altered the schema, committed or not. */
function writesOf({ prepare }: Connection): string {
  const rows = prepare('SELECT total_changes() AS n').get()?.['n'];
  return `${String(rows)} ${String(prepare('PRAGMA schema_version').get()?.['schema_version'])}`;
}

const rebuildsTable = /\bDROP\s+TABLE\b|\bforeign_keys\s*[=(]\s*(?:0|off|false|no)\b/i;

function markedConnections(
  run: HostRun,
  order: HostOrder,
  connections: Connections,
  used: ReadonlyMap<string, Connection>,
): readonly Connection[] {
  const open = connections.all().filter(({ name }) => !used.has(name));
  const isLeft = ({ markers }: Connection): boolean =>
    markers.find(run.runId, order.id) !== null || savedByHalves(order).some((saved) => markers.checkpoint(run.runId, saved) !== null);
  return [...used.values(), ...open.filter(isLeft)];
}

// One that is database-only can save nothing before its end, and thousands of those are run.
function savedByHalves({ id, isDatabaseOnly }: HostOrder): readonly string[] {
  return isDatabaseOnly ? [] : [...savedKeys(id, 'apply'), ...savedKeys(id, 'revert')];
}

function handleFor(
  connection: Connection,
  begin: (connection: Connection) => void,
  exec: (connection: Connection, sql: string) => void,
): SqliteHandle {
  const statement = (sql: string): ReturnType<Connection['prepare']> => {
    const [first] = splitStatements(sql);
    const word = first === undefined ? null : transactionWord(first);
    if (word !== null) throw new Error(`${word} does not work here: the step already runs in a transaction`);
    begin(connection);
    return connection.prepare(sql);
  };
  return {
    exec: async (sql) => exec(connection, sql),
    run: async (sql, ...parameters) => {
      const { changes, lastInsertRowid } = statement(sql).run(...bound(parameters));
      return { changes: Number(changes), lastInsertRowid: Number(lastInsertRowid) };
    },
    get: async <Row = SqlRow>(sql: string, ...parameters: SqlParameters) => statement(sql).get(...bound(parameters)) as Row | undefined,
    all: async <Row = SqlRow>(sql: string, ...parameters: SqlParameters) => statement(sql).all(...bound(parameters)) as Row[],
    iterate: async function* <Row = SqlRow>(sql: string, ...parameters: SqlParameters) {
      begin(connection);
      // A statement of its own: one that is iterated must not be run again meanwhile.
      for (const row of connection.db.prepare(sql).iterate(...bound(parameters))) yield row as Row;
    },
  };
}

type Bound = Parameters<ReturnType<Connection['prepare']>['run']>;

function bound(parameters: SqlParameters): Bound {
  const [first] = parameters;
  return (parameters.length === 1 && Array.isArray(first) ? first : parameters) as Bound;
}

function savedCheckpoint(run: HostRun, order: HostOrder, connections: Connections, key: string): unknown {
  const names = Object.keys(run.databases).filter((name) => run.databases[name]?.kind === 'sqlite');
  for (const name of names) {
    const found = connections.open(name, order.id).markers.checkpoint(run.runId, key);
    if (found !== null) return found.value;
  }
  return readCheckpointFile(checkpointFile(run.runDir, order.id, order.action))?.value;
}
