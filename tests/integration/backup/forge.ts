// Makes backups whose every checksum is right, and which are what somebody wants who means harm.
import { createHash } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { zstdCompressSync } from 'node:zlib';
import { byPath } from '../../../src/backup/names.ts';
import { loadTarHeaders, padding, type TarEntry } from '../../../src/backup/tar-header.ts';
import type { BackupRecord } from '../../../src/model/ports.ts';

/** What a JSON file holds, to be changed at will. */
// oxlint-disable-next-line typescript/no-explicit-any -- a forger knows no types
export type Loose = any;

interface Packed {
  readonly header: TarEntry;
  readonly content: Buffer;
  /** In place of what the header says. */
  readonly raw?: Buffer;
}

export interface Forgery {
  readonly manifest: Loose;
  /** Headers and contents, in the order of the archive. */
  readonly tar: Packed[];
}

export const headers = await loadTarHeaders();

export function plain(path: string, content: string): Forgery['tar'][number] {
  return {
    header: { path, type: 'File', mode: 0o644, uid: 0, gid: 0, size: content.length, mtime: '0', target: '' },
    content: Buffer.from(content),
  };
}

export function sha256(content: string | Buffer): string {
  return createHash('sha256').update(content).digest('hex');
}

/** A backup whose every checksum is right, and which is what the forger wants. */
export function forge(backup: BackupRecord, change: (forgery: Forgery) => void): void {
  const manifest: Loose = JSON.parse(readFileSync(backup.manifest, 'utf8'));
  const types: Record<string, TarEntry['type']> = { dir: 'Directory', file: 'File', link: 'SymbolicLink', hardlink: 'Link' };
  const live = (path: string): Buffer => readFileSync(join(manifest.root, path));
  const tar: Packed[] = manifest.entries.map((entry: Loose) => {
    const { path, mode, uid, gid, mtime, size = 0, target = '' } = entry;
    return {
      header: { path, type: types[entry.type], mode, uid, gid, size, mtime, target },
      content: entry.type === 'file' ? live(path) : Buffer.alloc(0),
    };
  });
  const forgery = { manifest, tar };
  change(forgery);
  forgery.manifest.entries.sort(byPath);
  const parts: Buffer[] = [];
  let at = 0;
  for (const { header, content, raw } of forgery.tar) {
    const entry = manifest.entries.find(({ path }: Loose) => path === header.path);
    if (entry?.at !== undefined && entry.at !== -7) entry.at = at;
    for (const part of [raw ?? headers.encode(header), content, Buffer.alloc(padding(content.length))]) {
      parts.push(part);
      at += part.length;
    }
  }
  const whole = Buffer.concat([...parts, Buffer.alloc(1024)]);
  const packed = zstdCompressSync(whole);
  writeFileSync(backup.path, packed);
  manifest.archive = {
    file: `${manifest.id}.tar.zst`,
    sha256: sha256(packed),
    bytes: packed.length,
    tarBytes: whole.length,
    frames: [[packed.length, whole.length]],
    ...manifest.forgedArchive,
  };
  delete manifest.forgedArchive;
  sign(backup, manifest);
}

export function sign(backup: BackupRecord, forged: Loose): void {
  const { sha256: _unsigned, ...manifest } = forged;
  const { entries, ...head } = manifest;
  const lines = entries.map((entry: Loose) => `    ${JSON.stringify(entry)}`).join(',\n');
  const text = `${JSON.stringify(head, null, 2).slice(0, -2)},\n  "entries": [\n${lines}\n  ],\n`;
  writeFileSync(backup.manifest, `${text}  "sha256": "${sha256(text)}"\n}\n`);
}

export function edit(backup: BackupRecord, change: (manifest: Loose) => void): void {
  forge(backup, ({ manifest }) => change(manifest));
}

export function rename(forgery: Forgery, from: string, to: string): void {
  for (const entry of forgery.manifest.entries) if (entry.path === from) entry.path = to;
  for (const { header } of forgery.tar) if (header.path === from) Object.assign(header, { path: to });
}
