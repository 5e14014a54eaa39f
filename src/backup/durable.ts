// Writes that outlive a power cut: the file and its folder are synced before anybody is told.
import { execFile } from 'node:child_process';
import { constants, lstatSync } from 'node:fs';
import { open, rename } from 'node:fs/promises';
import { dirname } from 'node:path';
import { toBytes } from './names.ts';

/** Atomic: the old file or the whole new one, mode 0600. Passes through `<file>.partial`. */
export async function writeDurably(file: string, text: string): Promise<void> {
  const partial = `${file}.partial`;
  const handle = await open(partial, constants.O_WRONLY | constants.O_CREAT | constants.O_TRUNC | constants.O_NOFOLLOW, 0o600);
  try {
    await handle.writeFile(text);
    await handle.sync();
  } finally {
    await handle.close();
  }
  await rename(partial, file);
  await syncFolder(dirname(file));
}

/** Puts the contents of many files on disk: by one sync of their file system where that can be asked for, instead of a journal commit each. Throws what the file system throws: a sync that failed is never taken for one that worked. */
export async function syncFiles(files: readonly string[]): Promise<void> {
  if (await syncFileSystems(files)) return;
  for (let at = 0; at < files.length; at += 16) await Promise.all(files.slice(at, at + 16).map(syncOne));
}

/** Puts names on disk: what was made in these folders, renamed in them, and taken away. */
export async function syncFolders(folders: readonly string[]): Promise<void> {
  if (folders.length > 4 && (await syncFileSystems(folders.map((folder) => `${folder}/.`)))) return;
  for (const folder of folders) await syncFolder(folder);
}

/** False where the `sync` of this system cannot. */
async function syncFileSystems(files: readonly string[]): Promise<boolean> {
  const folders = new Map(files.map((file) => [lstatSync(toBytes(file)).dev, dirname(file)]));
  for (const folder of folders.values()) {
    // An argument can hold no bytes that are not UTF-8.
    if (!folder.isWellFormed()) return false;
    const isDone = await new Promise<boolean>((resolve) => void execFile('sync', ['-f', folder], (error) => resolve(error === null)));
    if (!isDone) return false;
  }
  return true;
}

async function syncOne(file: string): Promise<void> {
  const handle = await open(toBytes(file), constants.O_RDONLY | constants.O_NOFOLLOW);
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

export async function syncFolder(folder: string): Promise<void> {
  const handle = await open(toBytes(folder), constants.O_RDONLY | constants.O_DIRECTORY);
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}
