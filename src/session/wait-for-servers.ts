// Waits until the PostgreSQL servers of an installation answer: on boot they start at the same time as whoever needs them.
import { checkNotCancelled } from '../../phases/cancelling.ts';
import type { Config } from '../model/config.ts';
import type { BootNote } from './boot-notes.ts';
import { journalTarget } from './journal-target.ts';

// Long enough for a server that is up not to be told of.
const tellAfterMs = 1_000;

interface Waiting {
  readonly signal: AbortSignal;
  readonly onNote: (note: BootNote) => void;
}

/** With the attempts and the back-off that upgrade.yaml gives. Throws POSTGRES_UNREACHABLE, and why the signal was aborted. */
export async function waitForServer(config: Config, which: 'journal' | 'databases', { signal, onNote }: Waiting): Promise<void> {
  // The journal's server has answered already.
  const journal = journalTarget(config)?.url;
  const targets = which === 'journal' ? journalOf(config) : databasesOf(config).filter(([, { url }]) => url !== journal);
  if (targets.length === 0) return;
  const [{ connectPostgres, serverOf }, { endConnection }] = await Promise.all([
    import('../databases/postgres/connect.ts'),
    import('../databases/postgres/connection-loss.ts'),
  ]);
  for (const [name, target] of targets) {
    const telling = setTimeout(() => onNote({ type: 'connecting', name, server: serverOf(target.url) }), tellAfterMs);
    try {
      await endConnection(await connectPostgres(target, { name, application: 'rungs boot', signal }));
    } catch (error) {
      checkNotCancelled(signal);
      throw error;
    } finally {
      clearTimeout(telling);
    }
  }
}

type Target = { readonly url: string; readonly attempts: number; readonly backoffMs: number };

// The patience of a database that says nothing of its own: half a minute.
const journalPatience = { attempts: 6, backoffMs: 1_000 };

function journalOf(config: Config): readonly (readonly [string, Target])[] {
  const target = journalTarget(config);
  if (target === null) return [];
  const isDatabase = databasesOf(config).some(([, { url }]) => url === target.url);
  return [['journal', isDatabase ? target : { ...target, ...journalPatience }]];
}

function databasesOf({ databases }: Config): readonly (readonly [string, Target])[] {
  return Object.entries(databases).flatMap(([name, database]) => (database.kind === 'postgres' ? [[name, database] as const] : []));
}
