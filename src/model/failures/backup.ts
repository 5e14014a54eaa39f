// What goes wrong with backups and databases.
import type { FailureRegistry } from '../failure.ts';

/** All of them up to twelve, then how many more. */
function listed(items: readonly string[]): string {
  const shown = items.slice(0, 12).join(', ');
  return items.length > 12 ? `${shown} and ${items.length - 12} more` : shown;
}

function inMegabytes(bytes: number): string {
  return `${(bytes / 1e6).toFixed(1)} MB`;
}

export const backupFailures = {
  BACKUP_SOURCE_OUTSIDE: ({ path, root }: { path: string; root: string }) => ({
    message: `The backup source "${path}" lies outside the installation root ${root}.`,
    hint: 'Name paths inside the root under backup.include and in the steps; databases may lie elsewhere when they are listed under databases.',
  }),
  BACKUP_UNREADABLE: ({ problems }: { problems: readonly string[] }) => ({
    message: `The backup cannot read ${problems.length === 1 ? 'one path' : `${problems.length} paths`}: ${listed(problems)}.`,
    hint: 'Run as a user that may read them, or leave them out under backup.exclude.',
  }),
  BACKUP_FILE_CHANGED: ({ paths }: { paths: readonly string[] }) => ({
    message: `These files changed each time the backup read them: ${listed(paths)}.`,
    hint: 'Stop what writes to them (stopDuringUpgrade: true for its service), list a database under databases, or leave logs and caches out under backup.exclude.',
  }),
  BACKUP_NO_SPACE: ({ dir, bytes }: { dir: string; bytes: number }) => ({
    message: `The disk of ${dir} became full while the backup of ${inMegabytes(bytes)} was written; what was written of it is removed.`,
    hint: 'Free space there, or name a folder on a larger disk under backup.dir. Older backups were not touched.',
  }),
  BACKUP_WRITE_FAILED: ({ dir, error }: { dir: string; error: string }) => ({
    message: `The backup could not be written to ${dir}: ${error}.`,
    hint: 'Check that the folder is writable and its disk sound, or name another one under backup.dir.',
  }),
  BACKUP_EXISTS: ({ id, path }: { id: string; path: string }) => ({
    message: `A backup with the id ${id} is already there and the installation is not as it was then: ${path}.`,
    hint: 'Start again with "upgrade": a new run makes a backup of its own.',
  }),
  BACKUP_MISSING: ({ id, path }: { id: string; path: string }) => ({
    message: `The backup ${id} is not where it was: ${path} is missing.`,
    hint: 'Bring the file back, or choose another backup from "upgrade backup list".',
  }),
  BACKUP_CORRUPT: ({ id, path, problem }: { id: string; path: string; problem: string }) => ({
    message: `The backup ${id} cannot be trusted: ${problem} (${path}). Nothing was restored from it.`,
    hint: 'Choose another backup from "upgrade backup list"; if it was just written, check the disk and the memory of this machine.',
  }),
  BACKUP_FORMAT_NEWER: ({ id, found }: { id: string; found: string }) => ({
    message: `The backup ${id} has format ${found}, which this version of Rungs does not read.`,
    hint: 'Use the version of Rungs that made it, or a newer one.',
  }),
  BACKUP_EXPORT_EXISTS: ({ file }: { file: string }) => ({
    message: `The file ${file} is already there.`,
    hint: 'Choose another name; an export never overwrites anything.',
  }),
  BACKUP_ENCRYPTED: ({ id, recipients, hasTried }: { id: string; recipients: readonly string[]; hasTried: boolean }) => ({
    message: `The backup ${id} is encrypted, and ${hasTried ? 'none of the keys that were named opens it' : 'no key was named that opens it'}. It is encrypted to ${listed(recipients)}.`,
    hint: 'Name a file that holds the secret key of one of them: --identity FILE, an age identity file or an SSH private key (Ed25519).',
  }),
  AFTER_BACKUP_FAILED: ({ id, command, account, lines }: { id: string; command: string; account: string; lines: readonly string[] }) => ({
    message: `"${command}" (backup.afterBackup) ${account} for the backup ${id}${lines.length === 0 ? '' : `: ${lines.slice(-3).join(' / ')}`}.`,
    hint: 'The backup itself is good and stays where it is. Remove the cause, or let "onFailure: warn" go on without a copy.',
  }),
  BACKUP_KEY_UNPROVEN: ({ recipients }: { recipients: readonly string[] }) => ({
    message: `Nobody has shown yet that they hold the secret key of ${recipients.length === 1 ? 'this recipient' : 'these recipients'} of backups: ${listed(recipients)}.`,
    hint: 'After the next backup, run "upgrade backup verify --identity FILE" once with the secret key of each, on this host or on a copy of its backup folder.',
  }),
  IDENTITY_UNREADABLE: ({ file, problem }: { file: string; problem: string }) => ({
    message: `No key could be read from ${file}: ${problem}.`,
    hint: 'Name an age identity file (AGE-SECRET-KEY-1…) or an SSH private key (Ed25519) without a passphrase; one that is protected can be opened on the fly: --identity <(age -d key.age).',
  }),
  BACKUP_IMPORT_EXISTS: ({ file, id }: { file: string; id: string }) => ({
    message: `The backup ${id} in ${file} is in the list already.`,
    hint: 'There is nothing to do: "upgrade backup verify" tells whether it is sound.',
  }),
  BACKUP_IMPORT_FOREIGN: ({ file, product, wanted }: { file: string; product: string; wanted: string }) => ({
    message: `The backup in ${file} is of "${product}", and this installation is "${wanted}".`,
    hint: 'Choose the backup of this product, or import it with the upgrade.yaml of the other (-c FILE).',
  }),
  BACKUP_DATABASE_ELSEWHERE: ({ id, name, there, here }: { id: string; name: string; there: string; here: string }) => ({
    message: `The backup ${id} has the database "${name}" from ${there}, outside of its installation; here it lies at ${here}.`,
    hint: `Nothing was written. Let databases.${name} in upgrade.yaml name ${there} for the restore; or take it out with plain tar (.rungs-outside/${name}) and put it where it belongs.`,
  }),
  RESTORE_TEST_FAILED: ({ id, what, problem }: { id: string; what: string; problem: string }) => ({
    message: `The backup ${id} was read back well, but ${what} could not be restored from it: ${problem}.`,
    hint: 'It is not taken for a backup. Check the disk and the room on it, the rights of the database user, and "upgrade doctor"; then start again.',
  }),
  SOURCE_COMMAND_FAILED: ({
    name,
    what,
    command,
    account,
    lines,
  }: {
    name: string;
    what: string;
    command: string;
    account: string;
    lines: readonly string[];
  }) => ({
    message: `The ${what} command of the backup source "${name}" ("${command}") ${account}${lines.length === 0 ? '' : `: ${lines.slice(-3).join(' / ')}`}.`,
    hint: 'Run the command by hand in the installation root; when it works there, start again.',
  }),
  SOURCE_EMPTY: ({ name }: { name: string }) => ({
    message: `The backup command of the source "${name}" ended well and printed nothing.`,
    hint: 'It has to print on its standard output what is to be saved.',
  }),
  SOURCE_CHANGED: ({ name }: { name: string }) => ({
    message: `The source "${name}" changed while it was saved: its digest before is not the one after.`,
    hint: 'Stop what writes to it (stopDuringUpgrade: true for its service), or make its digest leave out what changes by itself.',
  }),
  RESTORE_FAILED: ({ id, path, error }: { id: string; path: string; error: string }) => ({
    message: `The restore of backup ${id} stopped at ${path}: ${error}.`,
    hint: 'What was there before is kept; remove the cause and run the same command again, which takes up where it stopped.',
  }),
  RESTORE_INCOMPLETE: ({ id, paths }: { id: string; paths: readonly string[] }) => ({
    message: `After the restore of backup ${id} these still differ from it: ${listed(paths)}.`,
    hint: 'Something writes to them at the same time: stop it, then run the same command again.',
  }),
  RESTORE_PATH_UNKNOWN: ({ id, path }: { id: string; path: string }) => ({
    message: `The backup ${id} holds nothing at "${path}".`,
    hint: 'Paths are relative to the installation root, or "database:NAME".',
  }),
  RESTORE_NOT_BEGUN: ({ id, problem }: { id: string; problem: string }) => ({
    message: `Backup ${id} was not restored, and nothing was changed. ${problem}`,
    hint: 'Remove the cause and run the same command again.',
  }),
  RESTORE_DISK_FULL: ({ id, problem }: { id: string; problem: string }) => ({
    message: `The disk became full while backup ${id} was laid out beside what is live. Nothing was changed, and what was laid out is removed. ${problem}`,
    hint: 'Free space on the disk of that path, or room for more files where it has many small ones ("df -h" and "df -i" tell), or restore only some paths; then run the same command again.',
  }),
  RESTORE_NO_SAFETY_COPY: ({ id, problem }: { id: string; problem: string }) => ({
    message: `Backup ${id} was not restored: the present state cannot be backed up first. ${problem}`,
    hint: 'Nothing was changed. What a restore replaces is kept in the state folder too: --no-safety-copy goes on without the backup.',
  }),
  RESTORE_TARGET: ({ dir, problem }: { dir: string; problem: string }) => ({
    message: `The backup cannot be restored into ${dir}: ${problem}.`,
    hint: 'Name a folder outside of the installation that is empty or not there yet; without --to the installation itself is set back.',
  }),
  RESTORE_NO_SPACE: ({ path, neededBytes, freeBytes }: { path: string; neededBytes: number; freeBytes: number }) => ({
    message: `The restore needs ${inMegabytes(neededBytes)} free at ${path}, for what it stages and for the copy of the present state, but there are ${inMegabytes(freeBytes)}. Nothing was changed.`,
    hint: 'Free space there, restore only some paths, or go without the copy of the present state (--no-safety-copy).',
  }),
  RESTORE_UNFINISHED: ({ backup, startedAt }: { backup: string; startedAt: string }) => ({
    message: `A restore of backup ${backup}, begun ${startedAt}, was interrupted: the installation is partly as it was and partly as in the backup.`,
    hint: 'Finish it with "upgrade resume", or restore all of another backup.',
  }),
  DATABASE_UNREACHABLE: ({ name, file, error }: { name: string; file: string; error: string }) => ({
    message: `The database "${name}" (${file}) cannot be opened: ${error}.`,
    hint: 'Check the path under databases and the rights on the file and its folder.',
  }),
  DATABASE_MISSING: ({ name, file }: { name: string; file: string }) => ({
    message: `The database "${name}" has no file yet at ${file}.`,
    hint: 'If a step creates it, all is well; else correct the path under databases.',
  }),
  DATABASE_CORRUPT: ({ name, file, problems }: { name: string; file: string; problems: readonly string[] }) => ({
    message: `The database "${name}" (${file}) is damaged: ${listed(problems)}.`,
    hint: 'Repair it (sqlite3 .recover) or bring back a good copy before upgrading.',
  }),
  DATABASE_FOREIGN_KEYS: ({ name, file, problems }: { name: string; file: string; problems: readonly string[] }) => ({
    message: `The database "${name}" (${file}) has rows whose foreign keys point to nothing: ${listed(problems)}.`,
    hint: 'Correct these rows before upgrading: "PRAGMA foreign_key_check" lists them.',
  }),
  DATABASE_BUSY: ({ name, file, seconds }: { name: string; file: string; seconds: number }) => ({
    message: `The database "${name}" (${file}) stayed locked by another process for ${seconds} s.`,
    hint: 'Stop the program that writes to it (stopDuringUpgrade: true for its service), then try again.',
  }),
} satisfies FailureRegistry;
