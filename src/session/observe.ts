// Looks at an installation for a long time without touching it: what the journal says, told apart by a mark that changes with it. Promises that
// nothing is written and no lock is taken, and that a run that is killed or begins anew meanwhile is seen like any other.
import { readFileSync, statSync } from 'node:fs';
import path from 'node:path';
import type { Config } from '../model/config.ts';
import type { UpgradeEvent } from '../model/event.ts';
import type { LiveProgress } from '../model/live-progress.ts';
import type { Journal } from '../model/ports.ts';
import type { RunRecord } from '../model/run.ts';
import { openInstallation, openJournalToRead, readJournal } from './journals.ts';
import { runDir } from './held-run.ts';
import { statusDocument, type StatusDocument } from './status.ts';

export interface JournalMark {
  /** The same text: nothing was written in between. */
  readonly text: string;
  /** `false`: it was written to so lately that a further write might leave no trace in the text. */
  readonly isSettled: boolean;
}

export interface Observer {
  mark(): Promise<JournalMark>;
  status(): Promise<StatusDocument>;
  latestRun(): Promise<Pick<RunRecord, 'id' | 'outcome'> | null>;
  events(runId: string, afterSeq: number): Promise<readonly UpgradeEvent[]>;
  /** What a run that goes on on this host says of itself besides; `null` where none does. */
  progress(runId: string): LiveProgress | null;
  close(): Promise<void>;
}

// Coarser than any file system's clock that a journal lies on.
const tickNs = 50_000_000n;

export function observe(config: Config): Observer {
  const shared = config.journal.kind === 'postgres' ? createSharedReader(config) : null;
  const read = <T>(work: (journal: Journal | null) => Promise<T>): Promise<T> => (shared ?? ((inner) => readJournal(config, inner)))(work);
  return {
    mark: async () => (shared === null ? markOfFiles(config.state) : { text: await read(markOfServer), isSettled: true }),
    status: () => statusDocument(config, { installation: openInstallation(config) }),
    latestRun: () => read(async (journal) => (await journal?.latestRun()) ?? null),
    events: (runId, afterSeq) => read(async (journal) => (await journal?.events(runId, afterSeq)) ?? []),
    progress: (runId) => readProgress(path.join(runDir(config, runId), 'progress.json')),
    close: async () => shared?.close(),
  };
}

async function markOfServer(journal: Journal | null): Promise<string> {
  return journal === null ? '' : journal.mark();
}

/** The files that every commit changes. Unlike a connection that is kept open they keep nobody from folding the WAL in. */
function markOfFiles(state: string): JournalMark {
  const found = ['journal.db', 'journal.db-wal'].map((name) => statSync(path.join(state, name), { bigint: true, throwIfNoEntry: false }));
  const newest = found.reduce((latest, file) => (file !== undefined && file.mtimeNs > latest ? file.mtimeNs : latest), 0n);
  return {
    text: found.map((file) => (file === undefined ? '-' : `${file.ino}:${file.size}:${file.mtimeNs}`)).join(' '),
    // A clock that was set back makes a time that lies ahead: never settled, which costs reading and nothing else.
    isSettled: BigInt(Date.now()) * 1_000_000n - newest > tickNs,
  };
}

type SharedReader = (<T>(work: (journal: Journal | null) => Promise<T>) => Promise<T>) & { close(): Promise<void> };

/** One session for all looks; it is opened anew where it was lost, and while there is no journal yet. */
function createSharedReader(config: Config): SharedReader {
  let open: Promise<Journal | null> | null = null;
  const drop = async (): Promise<void> => {
    const dropped = open;
    open = null;
    // What could not be opened needs no closing; why, was told to whoever asked.
    const journal = await dropped?.catch(() => null);
    await journal?.close();
  };
  const read = async <T>(work: (journal: Journal | null) => Promise<T>): Promise<T> => {
    open ??= openJournalToRead(config);
    try {
      const journal = await open;
      if (journal === null) await drop();
      return await work(journal);
    } catch (error) {
      await drop();
      throw error;
    }
  };
  return Object.assign(read, { close: drop });
}

function readProgress(file: string): LiveProgress | null {
  try {
    return JSON.parse(readFileSync(file, 'utf8')) as LiveProgress;
  } catch {
    return null; // None is written, or the run has ended in between.
  }
}
