// Opens the journal, and the installed version that may stand in it: all that a command needs which only looks.
import { createInstallation } from '../discover/installation.ts';
import { openSqliteJournal } from '../journal/sqlite-journal.ts';
import { lockHolder } from '../lock/lock.ts';
import type { Config } from '../model/config.ts';
import { fail } from '../model/failure.ts';
import type { Installation, Journal } from '../model/ports.ts';

/** `null`: nothing was ever recorded. Reading changes nothing on disk. */
export async function readJournal<T>(config: Config, read: (journal: Journal | null) => Promise<T>): Promise<T> {
  const journal = openJournal(config, 'read');
  try {
    return await read(journal);
  } finally {
    await journal?.close();
  }
}

/** Makes the journal where there is none. */
export function openJournalToWrite(config: Config): Journal {
  const journal = openJournal(config, 'write');
  if (journal === null) throw fail('INTERNAL', { error: 'the journal was not made' });
  return journal;
}

function openJournal(config: Config, mode: 'read' | 'write'): Journal | null {
  if (config.journal.kind === 'postgres') throw fail('JOURNAL_KIND_UNSUPPORTED', { kind: 'postgres' }, { place: { file: config.file } });
  return openSqliteJournal({ state: config.state, mode, isHeld: mode === 'write' || lockHolder(config.state) !== null });
}

export function openInstallation(config: Config): Installation {
  return createInstallation(config, async () => readJournal(config, async (journal) => (await journal?.version()) ?? null));
}
