// Waits until the PostgreSQL servers of an installation answer: on boot they start at the same time as whoever needs them.
import { cancellation, checkNotCancelled } from '../../phases/cancelling.ts';
import type { Config } from '../model/config.ts';
import { UpgradeError } from '../model/failure.ts';
import type { BootNote } from './boot-notes.ts';
import { journalTarget } from './journal-target.ts';

interface Waiting {
  readonly signal: AbortSignal;
  readonly onNote: (note: BootNote) => void;
}

interface Server {
  readonly name: string;
  readonly target: { readonly url: string; readonly attempts: number; readonly backoffMs: number };
}

// Long enough for a server that is up not to be told of.
const tellAfterMs = 1_000;
// Of a journal whose server is none of the databases: half a minute, as nothing else says how long.
const journalPatience = { attempts: 6, backoffMs: 1_000 };

/** The databases, with the attempts and the back-off that upgrade.yaml gives. Throws POSTGRES_UNREACHABLE, and why the signal was aborted. */
export async function waitForDatabases(config: Config, waiting: Waiting): Promise<void> {
  // The journal's server has answered already.
  const journal = journalTarget(config)?.url;
  for (const server of databasesOf(config)) if (server.target.url !== journal) await waitFor(server, waiting);
}

/** Where everything that looks into the journal has given up already. */
export async function waitForJournal(config: Config, waiting: Waiting): Promise<void> {
  const target = journalTarget(config);
  if (target !== null) await waitFor({ name: 'journal', target: { ...target, ...journalPatience } }, waiting);
}

/**
 * For `work` that only reads, and tries again by itself where a server does not answer: says which one does not, and ends with the signal, however
 * long the work would go on trying. Throws what it throws, and why the signal was aborted.
 */
export async function tellingOfSilence<T>(config: Config, { signal, onNote }: Waiting, work: () => Promise<T>): Promise<T> {
  let isDone = false;
  const ask = async (server: Server): Promise<void> => {
    try {
      await answers({ ...server, target: { ...server.target, attempts: 1 } });
    } catch {
      if (!isDone) onNote(await silenceOf(server));
    }
  };
  const asking = setTimeout(() => void Promise.all(serversOf(config).map(ask)), tellAfterMs);
  const listening = new AbortController();
  const stopped = new Promise<never>((_, reject) => {
    const stop = (): void => reject(new UpgradeError([cancellation(signal)]));
    if (signal.aborted) stop();
    signal.addEventListener('abort', stop, { once: true, signal: listening.signal });
  });
  try {
    return await Promise.race([work(), stopped]);
  } finally {
    isDone = true;
    clearTimeout(asking);
    listening.abort();
  }
}

async function waitFor(server: Server, { signal, onNote }: Waiting): Promise<void> {
  const note = await silenceOf(server);
  const telling = setTimeout(() => onNote(note), tellAfterMs);
  try {
    await answers(server, signal);
  } catch (error) {
    checkNotCancelled(signal);
    throw error;
  } finally {
    clearTimeout(telling);
  }
}

async function answers({ name, target }: Server, signal?: AbortSignal): Promise<void> {
  const [{ connectPostgres }, { endConnection }] = await Promise.all([
    import('../databases/postgres/connect.ts'),
    import('../databases/postgres/connection-loss.ts'),
  ]);
  await endConnection(await connectPostgres(target, { name, application: 'rungs boot', ...(signal === undefined ? {} : { signal }) }));
}

async function silenceOf({ name, target }: Server): Promise<BootNote> {
  const { serverOf } = await import('../databases/postgres/connect.ts');
  return { type: 'connecting', name, server: serverOf(target.url) };
}

/** Each once. */
function serversOf(config: Config): readonly Server[] {
  const target = journalTarget(config);
  const databases = databasesOf(config);
  const isDatabase = databases.some((database) => database.target.url === target?.url);
  return target === null || isDatabase ? databases : [{ name: 'journal', target }, ...databases];
}

function databasesOf({ databases }: Config): readonly Server[] {
  return Object.entries(databases).flatMap(([name, database]) => (database.kind === 'postgres' ? [{ name, target: database }] : []));
}
