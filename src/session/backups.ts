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
import type { ReadingPorts } from './adapters.ts';
import { readJournal } from './journals.ts';
import { openRun } from './entry.ts';
import { locked } from './locked.ts';

export interface RestoreOptions {
  /** Relative to the root; all where it is left out. */
  readonly paths?: readonly string[];
  /** Tell what would be restored; write nothing. */
  readonly dryRun?: boolean;
}

export async function listBackups(config: Config): Promise<readonly BackupRecord[]> {
  return readJournal(config, async (journal) => (await journal?.backups()) ?? []);
}

export async function createBackup(config: Config, adapters: ReadingPorts, signal?: AbortSignal): Promise<BackupRecord> {
  if (config.backup.recipients.length > 0) throw fail('ENCRYPTION_NOT_SUPPORTED', {});
  return locked(config, adapters, async (journal) => {
    const record = await adapters.backups.create({
      id: ulid(),
      runId: null,
      version: await adapters.installation.readVersion(),
      extraPaths: [],
      ...(signal === undefined ? {} : { signal }),
    });
    await journal.recordBackup(record);
    return record;
  });
}

export async function verifyBackup(config: Config, { backups }: ReadingPorts, id?: string): Promise<BackupRecord> {
  const record = await find(config, id);
  await backups.verify(record);
  return record;
}

export async function exportBackup(config: Config, { backups }: ReadingPorts, id: string, file: string): Promise<BackupRecord> {
  const record = await find(config, id);
  await backups.exportTo(record, path.resolve(file));
  return record;
}

/** What stood in the way is put aside under `state/aside/<time>`, never deleted. */
export async function restoreBackup(
  config: Config,
  adapters: ReadingPorts,
  id: string,
  { paths, dryRun }: RestoreOptions,
): Promise<RestoreReport> {
  const record = await find(config, id);
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
