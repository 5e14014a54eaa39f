// Wires the adapters for one installation. Part of the composition root: nothing else makes adapters.
import { createBackupStore } from '../backup/store.ts';
import { createDatabases } from '../databases/check.ts';
import { createInstallation } from '../discover/installation.ts';
import { openSqliteJournal } from '../journal/sqlite-journal.ts';
import { lockHolder } from '../lock/lock.ts';
import type { Config } from '../model/config.ts';
import { fail } from '../model/failure.ts';
import type { Journal, Ports } from '../model/ports.ts';
import { createProbeRunner } from '../probes/probe-runner.ts';
import { createScrubber } from '../report/scrub.ts';
import { createServiceControl } from '../services/service-control.ts';
import { systemClock } from '../system-clock.ts';

/** What can be used without the lock: all of it only reads until it is told to change something. */
export type ReadingPorts = Pick<Ports, 'backups' | 'databases' | 'services' | 'probes' | 'installation' | 'clock'>;

export function createAdapters(config: Config): ReadingPorts {
  const scrub = createScrubber(config.secrets);
  const clock = systemClock;
  return {
    clock,
    backups: createBackupStore({ config, clock, excludeAlways: pidFiles(config) }),
    databases: createDatabases(config),
    services: createServiceControl({ config, clock, scrub }),
    probes: createProbeRunner({ config, clock, scrub }),
    installation: createInstallation(config, async () => readJournal(config, async (journal) => (await journal?.version()) ?? null)),
  };
}

/** A PID file that is set back names a process that is long gone, or somebody else's. */
function pidFiles(config: Config): readonly string[] {
  return Object.values(config.services).flatMap((service) => (service.kind === 'command' && service.pidFile !== null ? [service.pidFile] : []));
}

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
