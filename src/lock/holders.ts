// Who holds a lock file's kernel lock, read from /proc: given the file's inode, promises only processes that hold it now.
import { readFileSync, readdirSync, statSync } from 'node:fs';

export interface LockProcess {
  readonly pid: number;
  readonly command: string;
  /** Set for a step's process. */
  readonly step: string | null;
}

interface Inode {
  readonly dev: number;
  readonly ino: number;
}

export function holdersOf(inode: Inode): readonly LockProcess[] {
  return listNumbers('/proc')
    .filter((pid) => holdsIt(pid, inode))
    .map(describe)
    .filter((found) => found !== null);
}

export function holdsIt(pid: number, inode: Inode): boolean {
  return listNumbers(`/proc/${pid}/fd`).some((fd) => isSameFile(`/proc/${pid}/fd/${fd}`, inode) && holdsFlock(pid, fd));
}

/** Command line and step of a process; `null` once it is gone, and for the program that only takes the lock for its parent. */
function describe(pid: number): LockProcess | null {
  const argv = read(`/proc/${pid}/cmdline`)
    .split('\0')
    .filter((word) => word !== '');
  if (argv.length === 0) return null;
  const command = argv.join(' ').trim();
  if (/(^|\/)flock$/.test(argv[0] ?? '')) return null;
  // A step host serves many steps, so its environment cannot name the one that runs: its title does.
  const title = /^rungs-step (\S+)/.exec(command);
  const marked = /(?:^|\0)UPGRADE_STEP=([^\0]+)/.exec(read(`/proc/${pid}/environ`));
  return { pid, command, step: title?.[1] ?? marked?.[1] ?? null };
}

// Losers have the file open for a moment too; only the holder's descriptor has a lock line.
function holdsFlock(pid: number, fd: number): boolean {
  return /^lock:.*\bFLOCK\b/m.test(read(`/proc/${pid}/fdinfo/${fd}`));
}

function isSameFile(path: string, inode: Inode): boolean {
  try {
    const found = statSync(path, { throwIfNoEntry: false });
    return found !== undefined && found.ino === inode.ino && found.dev === inode.dev;
  } catch {
    return false; // Another user's process, or one that has just ended.
  }
}

function listNumbers(folder: string): readonly number[] {
  try {
    return readdirSync(folder)
      .filter((name) => /^\d+$/.test(name))
      .map(Number);
  } catch {
    return [];
  }
}

function read(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    return '';
  }
}
