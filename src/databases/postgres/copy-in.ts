// `COPY … FROM stdin` through a session of `pg`, which knows no way of its own: the rows of a dump go into the transaction that is open.
import { once } from 'node:events';
import type { Client, Connection } from 'pg';

export interface CopyInto {
  /** Waits where the server does not keep up. Throws what the server says. */
  write(chunk: Buffer): Promise<void>;
  /** Throws what the server says. */
  end(): Promise<void>;
}

interface CopyingConnection extends Connection {
  sendCopyFromChunk(chunk: Buffer): void;
  endCopyFrom(): void;
}

/** Nothing else may be asked of the client until `end`. */
export async function copyInto(client: Client, statement: string): Promise<CopyInto> {
  const begun = Promise.withResolvers<CopyingConnection>();
  const ended = Promise.withResolvers<void>();
  // Both are waited for, in turn.
  begun.promise.catch(() => undefined);
  ended.promise.catch(() => undefined);
  let problem: unknown = null;
  const failed = (error: unknown): void => {
    problem = error;
    begun.reject(error);
    ended.reject(error);
  };
  void client.query({
    submit: (connection: Connection) => {
      connection.query(statement);
    },
    handleCopyInResponse: (connection: CopyingConnection) => begun.resolve(connection),
    handleReadyForQuery: () => {
      begun.reject(new TypeError('the server expected no rows'));
      ended.resolve();
    },
    handleError: failed,
    handleCommandComplete: () => undefined,
    handleRowDescription: () => undefined,
    handleDataRow: () => undefined,
    handlePortalSuspended: () => undefined,
    handleEmptyQuery: () => undefined,
    handleCopyData: () => undefined,
  } as unknown as Parameters<Client['query']>[0]);
  const connection = await begun.promise;
  return {
    write: async (chunk) => {
      if (problem !== null) throw problem;
      connection.sendCopyFromChunk(chunk);
      if (connection.stream.writableNeedDrain) await Promise.race([once(connection.stream, 'drain'), ended.promise]);
    },
    end: async () => {
      if (problem === null) connection.endCopyFrom();
      await ended.promise;
    },
  };
}
