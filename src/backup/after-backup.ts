// Hands a verified backup to a command of the config, which copies it to another host, for example. Promises to tell how the command failed, secrets taken out.
import { join } from 'node:path';
import type { Config } from '../model/config.ts';
import { fail } from '../model/failure.ts';
import type { BackupRecord } from '../model/ports.ts';
import { runCommand } from '../processes/run-command.ts';

/** What the command printed is in `state/after-backup.log` until the next time. Throws AFTER_BACKUP_FAILED. */
export async function afterBackup(
  { id, path, manifest }: BackupRecord,
  { root, state, backup }: Config,
  { scrub, signal }: { readonly scrub: (text: string) => string; readonly signal?: AbortSignal },
): Promise<void> {
  if (backup.afterBackup === null) return;
  const { command, timeoutMs } = backup.afterBackup;
  const places: Readonly<Record<string, string>> = { '{id}': id, '{archive}': path, '{manifest}': manifest };
  const argv = command.map((argument) => argument.replace(/\{(?:id|archive|manifest)\}/g, (place) => places[place] ?? place));
  const env = { UPGRADE_BACKUP_ID: id, UPGRADE_BACKUP_ARCHIVE: path, UPGRADE_BACKUP_MANIFEST: manifest };
  const { end, exitCode, account, lines } = await runCommand({
    argv,
    cwd: root,
    timeoutMs,
    signal,
    env,
    outputFile: join(state, 'after-backup.log'),
  });
  signal?.throwIfAborted();
  if (end === 'exited' && exitCode === 0) return;
  throw fail('AFTER_BACKUP_FAILED', { id, command: scrub(command.join(' ')), account, lines: lines.map(scrub) });
}
