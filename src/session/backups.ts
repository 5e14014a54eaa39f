// Backups by hand: made, looked at and restored outside of runs, under the same lock and in the same journal.
import { mkdirSync } from 'node:fs';
import path from 'node:path';
import { ulid } from 'ulid';
import { shownPath } from '../backup/compare.ts';
import { readManifest } from '../backup/manifest-file.ts';
import { isWithin } from '../backup/names.ts';
import type { Config } from '../model/config.ts';
import { fail } from '../model/failure.ts';
import type { BackupRecord, Journal, RestoreReport } from '../model/ports.ts';
import type { RunRecord } from '../model/run.ts';
import { createBackups, type ReadingPorts } from './adapters.ts';
import { readJournal } from './journals.ts';
import { openRun } from './entry.ts';
import { locked } from './locked.ts';
import { pruneBackups } from './prune-backups.ts';

export interface RestoreOptions extends KeyOptions {
  /** Relative to the root; all where it is left out. */
  readonly paths?: readonly string[];
  /** Tell what would be restored; write nothing. */
  readonly dryRun?: boolean;
}

export async function listBackups(config: Config): Promise<readonly BackupRecord[]> {
  return readJournal(config, async (journal) => (await journal?.backups()) ?? []);
}

export async function createBackup(config: Config, adapters: ReadingPorts, signal?: AbortSignal): Promise<BackupRecord> {
  return locked(config, adapters, async (journal) => {
    const record = await adapters.backups.create({
      id: ulid(),
      runId: null,
      version: await adapters.installation.readVersion(),
      extraPaths: [],
      ...(signal === undefined ? {} : { signal }),
    });
    await journal.recordBackup(record);
    await pruneBackups(config, adapters, journal);
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
}

export async function verifyBackup(
  config: Config,
  adapters: ReadingPorts,
  id?: string,
  options: VerifyOptions = {},
): Promise<BackupRecord> {
  const record = await find(config, id);
  const { backups } = withKeys(config, adapters, options);
  if (options.isSealed === true && (await backups.verifySealed(record))) return record;
  await backups.verify(record);
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
  const record = await find(config, id);
  await withKeys(config, adapters, options).backups.exportTo(record, path.resolve(file));
  return record;
}

function withKeys(config: Config, adapters: ReadingPorts, { identities = [] }: KeyOptions): ReadingPorts {
  return identities.length === 0 ? adapters : { ...adapters, backups: createBackups(config, adapters.clock, identities) };
}

/** What stood in the way is put aside under `state/aside/<time>`, never deleted. */
export async function restoreBackup(
  config: Config,
  plain: ReadingPorts,
  id: string,
  { paths, dryRun, ...options }: RestoreOptions,
): Promise<RestoreReport> {
  const record = await find(config, id);
  const adapters = withKeys(config, plain, options);
  if (dryRun === true) return wouldRestore(config.root, adapters, record, paths);
  return locked(config, adapters, async (journal) => {
    const open = await openRun(journal);
    if (open !== null && open.outcome === null) throw fail('RUN_UNFINISHED', open);
    const asideDir = path.join(config.state, 'aside', ulid());
    mkdirSync(asideDir, { recursive: true, mode: 0o700 });
    const isWhole = paths === undefined || paths.length === 0;
    const report = await adapters.backups.restore(record, { asideDir, ...(isWhole ? {} : { paths }) });
    // Somebody decided which state it goes back to, and it was compared: the run that was stranded has found its end.
    if (isWhole && open !== null) await closeStranded(journal, open, record);
    return report;
  });
}

async function closeStranded(journal: Journal, run: RunRecord, { id }: BackupRecord): Promise<void> {
  if (run.result === null) return;
  const warnings = [...run.result.warnings, `Put back by hand, from backup ${id}.`];
  await journal.finishRun(run.id, 'rolled-back', { ...run.result, outcome: 'rolled-back', warnings, next: `upgrade history ${run.id}` });
}

/** What `restore` would do, by the same rules. Throws RESTORE_PATH_UNKNOWN. */
async function wouldRestore(
  root: string,
  { backups }: ReadingPorts,
  record: BackupRecord,
  paths: readonly string[] = [],
): Promise<RestoreReport> {
  const manifest = await readManifest(record);
  const databases = new Map<string, string>(
    manifest.entries.flatMap((entry) =>
      entry.type === 'database' || entry.type === 'postgres' ? [[`database:${entry.name}`, shownPath(entry)] as const] : [],
    ),
  );
  const wanted = paths.map((given) => databases.get(given) ?? path.relative(root, path.resolve(root, given)));
  for (const [at, one] of wanted.entries()) {
    const isKnown =
      manifest.entries.some((entry) => isWithin(shownPath(entry), one)) ||
      manifest.sources.some((source) => source.kind === 'tree' && isWithin(one, source.path));
    if (!isKnown) throw fail('RESTORE_PATH_UNKNOWN', { id: record.id, path: paths[at] ?? one });
  }
  const inScope = (shown: string): boolean => wanted.length === 0 || wanted.some((one) => isWithin(shown, one));
  const differences = (await backups.compare(record)).differences.filter((difference) => inScope(difference.path));
  const restored = differences.filter(({ kind }) => kind !== 'created').map((difference) => difference.path);
  return {
    restored,
    removed: differences.filter(({ kind }) => kind === 'created').map((difference) => difference.path),
    unchanged: manifest.entries.filter((entry) => inScope(shownPath(entry))).length - restored.length,
  };
}

async function find(config: Config, id: string | undefined): Promise<BackupRecord> {
  const all = await listBackups(config);
  const record = id === undefined ? all[0] : all.find((known) => known.id === id);
  if (record === undefined) throw fail('BACKUP_UNKNOWN', { id: id ?? '(none was ever made)' });
  return record;
}
