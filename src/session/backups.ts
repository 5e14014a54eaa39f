// Backups by hand: made, looked at and exported outside of runs, under the same lock and in the same journal.
import path from 'node:path';
import type { Config } from '../model/config.ts';
import { fail } from '../model/failure.ts';
import type { BackupRecord } from '../model/ports.ts';
import { areStopped } from '../../phases/stopping.ts';
import { createBackups, type ReadingPorts } from './adapters.ts';
import { makeByHand } from './backups-by-hand.ts';
import { readJournal } from './journals.ts';
import { locked } from './locked.ts';
import { pruneBackups } from './prune-backups.ts';

export async function listBackups(config: Config): Promise<readonly BackupRecord[]> {
  return readJournal(config, async (journal) => (await journal?.backups()) ?? []);
}

export interface CreateOptions {
  /** Stores everything, whatever earlier backups have. */
  readonly isFull?: boolean;
  readonly signal?: AbortSignal;
}

export async function createBackup(config: Config, adapters: ReadingPorts, { isFull, signal }: CreateOptions = {}): Promise<BackupRecord> {
  return locked(config, adapters, async (journal) => {
    const record = await makeByHand(journal, adapters.backups, async (id) =>
      adapters.backups.create({
        id,
        runId: null,
        version: await adapters.installation.readVersion(),
        extraPaths: [],
        earlier: await journal.backups(),
        isSimultaneous: await areStopped(adapters, config),
        ...(isFull === undefined ? {} : { isFull }),
        ...(signal === undefined ? {} : { signal }),
      }),
    );
    await pruneBackups(config, adapters, journal);
    // Whoever makes one by hand wants to know, whatever the policy of upgrades is. The backup stays.
    await adapters.backups.afterBackup(record, signal);
    return record;
  });
}

export interface KeyOptions {
  /** Files with keys for an encrypted backup: identity files of age, SSH private keys. */
  readonly identities?: readonly string[];
}

export interface VerifyOptions extends KeyOptions {
  /** Only whether the encrypted files are as they were written. */
  readonly isSealed?: boolean;
  /** Reads also all that it needs of earlier backups' archives; without it these are only sampled. */
  readonly isDeep?: boolean;
}

export async function verifyBackup(
  config: Config,
  adapters: ReadingPorts,
  id?: string,
  options: VerifyOptions = {},
): Promise<BackupRecord> {
  const record = await findBackup(config, id);
  const { backups } = withKeys(config, adapters, options);
  if (options.isSealed === true && (await backups.verifySealed(record))) return record;
  await backups.verify(record, options);
  await backups.noteProof(record);
  return record;
}

export async function exportBackup(
  config: Config,
  adapters: ReadingPorts,
  id: string,
  file: string,
  options: KeyOptions = {},
): Promise<BackupRecord> {
  const record = await findBackup(config, id);
  await withKeys(config, adapters, options).backups.exportTo(record, path.resolve(file));
  return record;
}

/** Takes in what another host exported. */
export async function importBackup(config: Config, plain: ReadingPorts, file: string, options: KeyOptions = {}): Promise<BackupRecord> {
  const adapters = withKeys(config, plain, options);
  return locked(config, adapters, async (journal) => {
    const known = new Set((await journal.backups()).map(({ id }) => id));
    const record = await adapters.backups.importFrom(path.resolve(file), (id) => known.has(id));
    await journal.recordBackup(record);
    return record;
  });
}

export function withKeys(config: Config, adapters: ReadingPorts, { identities = [] }: KeyOptions): ReadingPorts {
  return identities.length === 0 ? adapters : { ...adapters, backups: createBackups(config, adapters.clock, identities) };
}

/** The newest where no id is given. Throws BACKUP_UNKNOWN. */
export async function findBackup(config: Config, id: string | undefined): Promise<BackupRecord> {
  const all = await listBackups(config);
  const record = id === undefined ? all[0] : all.find((known) => known.id === id);
  if (record === undefined) throw fail('BACKUP_UNKNOWN', { id: id ?? '(none was ever made)' });
  return record;
}
