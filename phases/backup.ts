// Archives what the config and the steps name, reads it back, and records it.
// Given the plan; promises that a verified backup of this run exists. A run that has one already is done.
import type { Ports, RunContext, BackupRecord } from '../src/model/ports.ts';
import { stepsOf } from '../src/model/plan.ts';

export async function backup(ports: Pick<Ports, 'journal' | 'backups' | 'events'>, run: RunContext): Promise<void> {
  const known = await backupOfRun(ports, run.id);
  if (known !== null) return;
  const record = await ports.backups.create({
    // The run's own id: whoever finds the archive finds its run.
    id: run.id,
    runId: run.id,
    version: run.plan.from,
    extraPaths: [...new Set(stepsOf(run.plan).flatMap((step) => step.backup))],
    signal: run.signal,
    onProgress: (doneBytes, totalBytes) => ports.events.emit({ type: 'backup-progress', doneBytes, totalBytes, transient: true }),
  });
  await ports.journal.recordBackup(record);
  const { id, path, bytes, files, verified } = record;
  ports.events.emit({ type: 'backup-verified', backup: { id, path, bytes, files, verified } });
}

/** The verified backup that was made for this run, if there is one. */
export async function backupOfRun({ journal }: Pick<Ports, 'journal'>, runId: string): Promise<BackupRecord | null> {
  const backups = await journal.backups();
  return backups.find((record) => record.runId === runId && record.verified) ?? null;
}
