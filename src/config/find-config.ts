// Finds the configuration: the file that is named, or the nearest `upgrade.yaml`, walking up.
import { stat } from 'node:fs/promises';
import path from 'node:path';
import { fail } from '../model/failure.ts';

/** Throws CONFIG_NOT_FOUND. */
export async function findConfig(cwd: string, named?: string): Promise<string> {
  if (named !== undefined) {
    const file = path.resolve(cwd, named);
    const kind = await kindOf(file);
    if (kind === 'folder' && (await kindOf(path.join(file, 'upgrade.yaml'))) === 'file') return path.join(file, 'upgrade.yaml');
    if (kind === 'file') return file;
    throw fail(
      'CONFIG_NOT_FOUND',
      { looked: kind === 'folder' ? `${file} is a folder without an upgrade.yaml` : `${file} does not exist` },
      { place: { file } },
    );
  }
  let near: string | undefined;
  for (let folder = path.resolve(cwd); ; folder = path.dirname(folder)) {
    const file = path.join(folder, 'upgrade.yaml');
    if ((await kindOf(file)) === 'file') return file;
    const other = path.join(folder, 'upgrade.yml');
    if (near === undefined && (await kindOf(other)) === 'file') near = other;
    if (folder === path.dirname(folder)) break;
  }
  const looked = `there is no upgrade.yaml in ${path.resolve(cwd)} or above it`;
  throw fail('CONFIG_NOT_FOUND', near === undefined ? { looked } : { looked, near });
}

async function kindOf(file: string): Promise<'file' | 'folder' | null> {
  const found = await stat(file).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT' || error.code === 'ENOTDIR') return null;
    // What is there but cannot be looked at is for the reader to report, by name.
    return { isFile: () => true, isDirectory: () => false };
  });
  if (found === null) return null;
  return found.isDirectory() ? 'folder' : 'file';
}
