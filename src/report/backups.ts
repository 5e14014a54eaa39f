// The backups, for people: newest first, and where they lie.
import { dirname } from 'node:path';
import type { BackupRecord } from '../model/ports.ts';
import { bytes, count, createInk, hanging, marks, moment } from './layout.ts';
import type { Ink } from './layout.ts';
import { table } from './table.ts';

export function renderBackups(
  backups: readonly BackupRecord[],
  { ink = createInk(false), columns = 80 }: { readonly ink?: Ink; readonly columns?: number } = {},
): readonly string[] {
  if (backups.length === 0) return ['There is no backup yet. "upgrade backup create" makes one; an upgrade does so by itself.'];
  const rows = backups.map(({ id, createdAt, version, bytes: size, files, verified, simultaneous }) => ({
    mark: verified ? ink.good(marks.done) : ink.bad(marks.failed),
    cells: [ink.strong(id), moment(createdAt), version ?? '', bytes(size), `${count(files, 'file')}${simultaneous === false ? ' *' : ''}`],
  }));
  const notes = backups.some(({ simultaneous }) => simultaneous === false)
    ? hanging('  * ', 'Not of one moment: something may have been written while it was made.', columns)
    : [];
  const folders = [...new Set(backups.map(({ path }) => dirname(path)))];
  return [
    ...table(rows, columns),
    ...notes.map(ink.quiet),
    ...folders.flatMap((folder) => hanging('  ', `in ${folder}`, columns).map(ink.quiet)),
  ];
}
