// `ctx.batches`: large data changed in pieces. Promises that every row is in exactly one committed batch, however often the step is killed and run again:
// how far it is lies in the same database and is committed with each batch, and the next one begins behind the last key.
import { fail } from '../../model/failure.ts';
import type { FailureCode, FailureDetails } from '../../model/failure.ts';
import type { Batches, Checkpoint, PostgresHandle, SqliteHandle, StepContext } from '../../step-api.ts';
import { goThrough } from './batch-loop.ts';
import { readBatchQuery } from './batch-query.ts';
import type { BatchCall } from './batch-query.ts';
import type { BatchSource, SourceRefusals } from './batch-source.ts';
import { openSqliteSource } from './batches-sqlite.ts';
import { placeInStack } from './module-loader.ts';
import type { HostOrder, HostRun } from './protocol.ts';
import type { Session } from './session.ts';

export interface BatchTools {
  readonly batches: Batches;
  /** The step's own, which must not commit half a batch. */
  readonly checkpoint: Checkpoint;
}

type Handle = SqliteHandle | PostgresHandle;

const largestSize = 100_000;

/** `isLooking`: for `check()`, whose changes are not kept. */
export function createBatches(
  {
    order,
    run,
    session,
    isLooking,
  }: { readonly order: HostOrder; readonly run: HostRun; readonly session: Session; readonly isLooking: boolean },
  { signal, progress }: Pick<StepContext, 'signal' | 'progress'>,
): BatchTools {
  const names = new Set<string>();
  let unnamed = 0;
  let running = false;
  const half = { step: order.id, direction: order.direction };

  const nameOf = (call: BatchCall): string => {
    if (call.name === null) unnamed += 1;
    return call.name ?? `#${unnamed}`;
  };

  const batches: Batches = async (query, size, change) => {
    const refuse: Refuser = refuserAt(order);
    if (isLooking) refuse('STEP_BATCHES_USE', { ...half, problem: 'check() only looks' });
    if (running) refuse('STEP_BATCHES_USE', { ...half, problem: 'another call of it has not ended yet' });
    if (typeof change !== 'function') refuse('STEP_BATCHES_USE', { ...half, problem: 'no function says what to do with the rows' });
    if (!Number.isInteger(size) || size < 1 || size > largestSize) refuse('STEP_BATCHES_SIZE', { ...half, size: String(size) });
    const refusals: SourceRefusals = {
      query: (problem) => refuse('STEP_BATCHES_QUERY', { ...half, problem }),
      key: (problem) => refuse('STEP_BATCHES_KEY', { ...half, problem }),
    };
    const call = readBatchQuery(query, refusals.query);
    const name = nameOf(call);
    if (names.has(name)) refuse('STEP_BATCHES_USE', { ...half, problem: `two calls have the name "${name}"` });
    names.add(name);
    running = true;
    try {
      const database = databaseFor(call, order, run);
      const source: BatchSource<Handle> =
        run.databases[database]?.kind === 'postgres'
          ? await (await import('./batches-postgres.ts')).openPostgresSource(session.postgresBatchStore(database), call, refusals)
          : openSqliteSource(session.batchStore(database), call, refusals);
      return await goThrough(source, {
        name,
        size,
        signal,
        progress,
        // Which kind of handle and row it is, the step knows of its own database.
        change: async (rows, batch) => void (await change(rows as Parameters<typeof change>[0], batch as Parameters<typeof change>[1])),
        watchOthers: async () => session.watchOthers(database),
        refuse: {
          otherQuery: () =>
            refuse('STEP_BATCHES_USE', { ...half, problem: `its call ${name} went through something else in the attempt before` }),
          otherDatabases: (others) => refuse('STEP_BATCHES_DATABASE', { ...half, database, others }),
          keyChange: () => refusals.key({ kind: 'changed', columns: source.key }),
        },
      });
    } finally {
      running = false;
    }
  };

  return {
    batches,
    checkpoint: {
      get value(): unknown {
        return session.checkpoint.value;
      },
      save: async (value) => {
        if (running) refuserAt(order)('STEP_BATCHES_USE', { ...half, problem: 'checkpoint.save inside of it would commit half a batch' });
        await session.checkpoint.save(value);
      },
    },
  };
}

type Refuser = <Code extends FailureCode>(code: Code, details: FailureDetails<Code>) => never;

/** Names the line of the step that makes the call: it is on the stack only now. */
function refuserAt(order: HostOrder): Refuser {
  const at = placeInStack(new Error('called here'), order.file);
  return (code, details) => {
    throw fail(code, details, { step: order.id, place: { file: order.file, ...at } });
  };
}

function databaseFor({ database }: BatchCall, order: HostOrder, run: HostRun): string {
  const known = Object.keys(run.databases);
  const [only] = known;
  const name = database ?? order.database ?? (known.length === 1 && only !== undefined ? only : null);
  if (name === null || !known.includes(name))
    throw fail('STEP_DATABASE_UNKNOWN', { step: order.id, database: name, known }, { step: order.id });
  return name;
}
