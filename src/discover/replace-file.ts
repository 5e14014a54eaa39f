// Replaces a file's content atomically: whoever reads it, also after a power cut, finds the old text or the new one.
import { open, realpath, rename, rm, stat, type FileHandle } from 'node:fs/promises';
import path from 'node:path';

/** Mode and owner stay; a link is followed and stays a link. File and folder are synced. */
export async function replaceFile(file: string, text: string): Promise<void> {
  const real = await realpath(file).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return file;
    throw error;
  });
  const before = await stat(real).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return null;
    throw error;
  });
  // One name, so that what a killed process left behind is taken over and not kept for ever.
  const beside = path.join(path.dirname(real), `.${path.basename(real)}.rungs-new`);
  await rm(beside, { force: true });
  try {
    await writeNew(beside, text, before);
    await rename(beside, real);
  } catch (error) {
    await rm(beside, { force: true });
    throw error;
  }
  await syncFolder(path.dirname(real));
}

async function writeNew(
  file: string,
  text: string,
  before: { readonly mode: number; readonly uid: number; readonly gid: number } | null,
): Promise<void> {
  await using handle: FileHandle = await open(file, 'wx', 0o644);
  if (before !== null) {
    const { uid, gid } = await handle.stat();
    if (uid !== before.uid || gid !== before.gid) await handle.chown(before.uid, before.gid);
    // After the owner, because giving a file away clears bits of its mode.
    await handle.chmod(before.mode & 0o7777);
  }
  await handle.writeFile(text);
  await handle.sync();
}

async function syncFolder(folder: string): Promise<void> {
  await using handle = await open(folder, 'r');
  await handle.sync();
}
