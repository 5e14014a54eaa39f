// `upgrade backup …`: made, looked at and exported by hand.
import path from 'node:path';
import type { BackupRecord } from '../../model/ports.ts';
import { renderBackups } from '../../report/backups.ts';
import { bytes, count } from '../../report/layout.ts';
import { untilInterrupted } from '../interrupts.ts';
import { openManager } from '../manager.ts';
import { inkFor, present } from '../output.ts';
import { keepHeapSmall } from '../small-heap.ts';
import type { CommonFlags } from '../flags.ts';
import type { Terminal } from '../terminal.ts';

export async function list(flags: CommonFlags, terminal: Terminal): Promise<number> {
  const backups = await (await openManager(flags, terminal)).listBackups();
  present(flags, terminal, backups.map(listed), () => renderBackups(backups, { ink: inkFor(flags, terminal), columns: terminal.columns }));
  return 0;
}

export interface CreateFlags extends CommonFlags {
  readonly full?: boolean;
}

export async function create(flags: CreateFlags, terminal: Terminal): Promise<number> {
  keepHeapSmall();
  const manager = await openManager(flags, terminal);
  const record = await untilInterrupted(terminal, (signal) => manager.createBackup({ signal, isFull: flags.full === true }));
  present(flags, terminal, shown(record), () => [
    `Backup ${record.id}: ${count(record.files, 'file')}, ${bytes(record.bytes)}, read back and found equal.`,
    ...(record.needs === undefined || record.needs.length === 0 ? [] : [`What has not changed lies in ${record.needs.join(', ')}.`]),
    ...(record.warnings ?? []),
    record.path,
  ]);
  return 0;
}

export interface KeyFlags extends CommonFlags {
  readonly identity?: readonly string[];
}

export async function verify(
  id: string | undefined,
  flags: KeyFlags & { sealed?: boolean; deep?: boolean },
  terminal: Terminal,
): Promise<number> {
  const isSealed = flags.sealed === true;
  const record = await (
    await openManager(flags, terminal)
  ).verifyBackup(id, { isSealed, isDeep: flags.deep === true, ...keysOf(flags, terminal) });
  present(flags, terminal, shown(record), () => [
    isSealed && record.path.endsWith('.age')
      ? `Backup ${record.id}: its encrypted files are as they were written. What is in them was not looked at.`
      : `Backup ${record.id}: ${count(record.files, 'file')} read whole and found equal to the manifest.`,
  ]);
  return 0;
}

export function keysOf({ identity }: KeyFlags, { cwd }: Terminal): { readonly identities?: readonly string[] } {
  return identity === undefined ? {} : { identities: identity.map((file) => path.resolve(cwd, file)) };
}

export async function exportTo(id: string, file: string, flags: KeyFlags, terminal: Terminal): Promise<number> {
  const record = await (await openManager(flags, terminal)).exportBackup(id, path.resolve(terminal.cwd, file), keysOf(flags, terminal));
  const written = path.resolve(terminal.cwd, file);
  present(flags, terminal, { id: record.id, file: written }, () => [`Backup ${record.id} written to ${written}.`]);
  return 0;
}

export async function importFrom(file: string, flags: KeyFlags, terminal: Terminal): Promise<number> {
  const from = path.resolve(terminal.cwd, file);
  const record = await (await openManager(flags, terminal)).importBackup(from, keysOf(flags, terminal));
  present(flags, terminal, shown(record), () => [
    `Backup ${record.id}: ${count(record.files, 'file')}, ${bytes(record.bytes)}, taken in from ${from} and found equal to its manifest.`,
    record.path,
  ]);
  return 0;
}

function shown({
  id,
  path,
  manifest,
  bytes: size,
  files,
  verified,
}: BackupRecord): Pick<BackupRecord, 'id' | 'path' | 'manifest' | 'bytes' | 'files' | 'verified'> {
  return { id, path, manifest, bytes: size, files, verified };
}

function listed(record: BackupRecord) {
  return { ...shown(record), createdAt: record.createdAt, runId: record.runId, simultaneous: record.simultaneous ?? null };
}
