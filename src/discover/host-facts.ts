// What the machine offers: free disk and memory, commands on the PATH, where one may write. Facts only; the preflight judges.
import { accessSync, constants, existsSync, readFileSync, statfsSync, statSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';

/** The path itself, or the nearest folder above it that exists. */
export function nearestExisting(where: string): string {
  let at = path.resolve(where);
  while (!existsSync(at) && at !== path.dirname(at)) at = path.dirname(at);
  return at;
}

/** Why one cannot write there; `null`: one can. Nothing is written to find out. */
export function whyNotWritable(where: string): string | null {
  try {
    // Answers EROFS for root as well, unlike the mode bits.
    accessSync(nearestExisting(where), constants.W_OK);
    return null;
  } catch (error) {
    return error instanceof Error && 'code' in error ? String(error.code) : String(error);
  }
}

/** Bytes that this user may still write at a path, and which device that is. */
export function freeDisk(where: string): { readonly bytes: number; readonly device: number } {
  const at = nearestExisting(where);
  const { bavail, bsize } = statfsSync(at);
  return { bytes: bavail * bsize, device: statSync(at).dev };
}

/** Bytes of memory that can be had without swapping. */
export function freeMemory(): number {
  if (process.platform !== 'linux') return os.freemem();
  const available = /^MemAvailable:\s+(\d+) kB$/m.exec(readFileSync('/proc/meminfo', 'utf8'))?.[1];
  return available === undefined ? os.freemem() : Number(available) * 1024;
}

/** Whether a command can be started: by name on the PATH, or by a path relative to the root. */
export function hasCommand(command: string, root: string): boolean {
  const places = command.includes('/')
    ? [path.resolve(root, command)]
    : (process.env.PATH ?? '').split(':').map((folder) => path.join(folder, command));
  return places.some(isExecutable);
}

function isExecutable(file: string): boolean {
  try {
    accessSync(file, constants.X_OK);
    return statSync(file).isFile();
  } catch {
    // Not there, or not for us: both mean that it cannot be started.
    return false;
  }
}
