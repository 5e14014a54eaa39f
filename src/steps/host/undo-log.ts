// The undo record of one half of a step: what was there before, durable before the change is made, so that a kill at any point can be taken back.
import {
  closeSync,
  existsSync,
  fdatasyncSync,
  fsyncSync,
  ftruncateSync,
  linkSync,
  lstatSync,
  mkdirSync,
  openSync,
  readFileSync,
  readlinkSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { fail } from '../../model/failure.ts';
import { syncFolder } from './atomic-file.ts';
import { copyTree } from './tree.ts';

/** Owner, mode and times as they were; times in milliseconds. */
export interface Attributes {
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  readonly atimeMs: number;
  readonly mtimeMs: number;
}

/** What was at a path. `image` and `aside` are names in the record's folder. */
export type Before =
  | { readonly type: 'nothing' }
  | ({ readonly type: 'file'; readonly image: string } & Attributes)
  | ({ readonly type: 'link'; readonly target: string } & Attributes)
  /** The folder itself is moved aside as the change. */
  | { readonly type: 'folder'; readonly aside: string }
  /** It stays, and only its mode and owner change. */
  | ({ readonly type: 'attributes' } & Attributes);

/** Paths are relative to the root. */
export type UndoEntry = {
  readonly n: number;
  /** Of the folder that the path lies in, as its times change too. */
  readonly parent: { readonly path: string; readonly atimeMs: number; readonly mtimeMs: number } | null;
} & (
  | { readonly change: 'replace'; readonly path: string; readonly before: Before }
  | {
      readonly change: 'move';
      readonly path: string;
      readonly to: string;
      readonly toParent: { readonly path: string; readonly atimeMs: number; readonly mtimeMs: number } | null;
    }
);

export interface UndoLog {
  /** Before whatever is about to happen to the path: it is replaced, removed or made. */
  readonly replace: (path: string) => void;
  readonly attributes: (path: string) => void;
  readonly move: (from: string, to: string) => void;
  /** Before a folder is removed: where the caller is to move it. */
  readonly aside: (path: string) => string;
}

export function undoDir(runDir: string, stepId: string, action: 'apply' | 'revert'): string {
  return join(runDir, 'undo', `${stepId}.${action}`);
}

/** Goes on with what an interrupted attempt recorded; what was wholly undone is put away. */
export function openUndoLog(dir: string, root: string): UndoLog {
  let fd: number | null = null;
  let next = 0;
  const open = (): number => {
    if (fd !== null) return fd;
    putAwayIfUndone(dir);
    mkdirSync(dir, { recursive: true, mode: 0o700 });
    const file = logFile(dir);
    dropTornLine(file);
    next = readUndoLog(dir).reduce((highest, { n }) => Math.max(highest, n + 1), 0);
    fd = openSync(file, 'a', 0o600);
    for (let each = dir, up = 0; up < 4; up += 1, each = dirname(each)) syncFolder(each);
    return fd;
  };
  const record = (entry: UndoEntry): void => {
    const to = open();
    // Whole or not at all: on a full disk `writeSync` may write half a line and be content.
    writeFileSync(to, `${JSON.stringify(entry)}\n`);
    fdatasyncSync(to);
  };
  const within = (path: string): string => relative(root, path);
  const parentOf = (path: string): UndoEntry['parent'] => {
    if (path === root) return null;
    const found = lstatSync(dirname(path), { throwIfNoEntry: false });
    return found === undefined ? null : { path: within(dirname(path)), atimeMs: found.atimeMs, mtimeMs: found.mtimeMs };
  };
  const number = (): number => {
    open();
    const taken = next;
    next += 1;
    return taken;
  };

  return {
    replace: (path) => {
      const n = number();
      record({ n, change: 'replace', path: within(path), parent: parentOf(path), before: beforeOf(path, dir, n) });
    },
    attributes: (path) => {
      const n = number();
      record({ n, change: 'replace', path: within(path), parent: parentOf(path), before: { type: 'attributes', ...attributesOf(path) } });
    },
    move: (from, to) => {
      const n = number();
      record({ n, change: 'move', path: within(from), to: within(to), parent: parentOf(from), toParent: parentOf(to) });
    },
    aside: (path) => {
      const n = number();
      const aside = `aside-${n}`;
      rmSync(join(dir, aside), { recursive: true, force: true });
      record({ n, change: 'replace', path: within(path), parent: parentOf(path), before: { type: 'folder', aside } });
      return join(dir, aside);
    },
  };
}

/** All whole entries, in order. Throws UNDO_RECORD_CORRUPT: a torn last line is no entry, as its change was never made. */
export function readUndoLog(dir: string): readonly UndoEntry[] {
  const file = logFile(dir);
  if (!existsSync(file)) return [];
  const text = readFileSync(file, 'utf8');
  const lines = text
    .slice(0, text.lastIndexOf('\n') + 1)
    .split('\n')
    .slice(0, -1);
  return lines.map((line, at): UndoEntry => {
    try {
      return JSON.parse(line);
    } catch (error) {
      throw fail('UNDO_RECORD_CORRUPT', { file, line: at + 1 }, { place: { file, line: at + 1 } }, error);
    }
  });
}

/** Numbers of the entries that have been undone durably. */
export function readUndone(dir: string): ReadonlySet<number> {
  const file = undoneFile(dir);
  if (!existsSync(file)) return new Set();
  const text = readFileSync(file, 'utf8');
  return new Set(
    text
      .slice(0, text.lastIndexOf('\n') + 1)
      .split('\n')
      .slice(0, -1)
      .map(Number),
  );
}

/** Entries that still stand. */
export function pendingEntries(dir: string): readonly UndoEntry[] {
  const undone = readUndone(dir);
  return readUndoLog(dir).filter(({ n }) => !undone.has(n));
}

export function undoneFile(dir: string): string {
  return join(dir, 'undone');
}

function logFile(dir: string): string {
  return join(dir, 'log.ndjson');
}

function putAwayIfUndone(dir: string): void {
  if (readUndoLog(dir).length === 0 || pendingEntries(dir).length > 0) return;
  for (let n = 1; ; n += 1) {
    const old = `${dir}.undone-${n}`;
    if (existsSync(old)) continue;
    renameSync(dir, old);
    syncFolder(dirname(dir));
    return;
  }
}

/** Else the next entry would be glued to what a power cut left of the last one. */
export function dropTornLine(file: string): void {
  if (!existsSync(file)) return;
  const bytes = readFileSync(file);
  const end = bytes.lastIndexOf(10) + 1;
  if (end === bytes.length) return;
  const fd = openSync(file, 'r+');
  try {
    // Cut off, not written anew: a kill in between would lose all that was recorded.
    ftruncateSync(fd, end);
    fsyncSync(fd);
  } finally {
    closeSync(fd);
  }
}

function beforeOf(path: string, dir: string, n: number): Before {
  const found = lstatSync(path, { throwIfNoEntry: false });
  if (found === undefined) return { type: 'nothing' };
  if (found.isSymbolicLink()) return { type: 'link', target: readlinkSync(path), ...attributesOf(path) };
  if (!found.isFile()) throw new Error(`${path} is not a file`);
  const image = `image-${n}`;
  rmSync(join(dir, image), { force: true });
  keep(path, join(dir, image));
  syncFolder(dir);
  return { type: 'file', image, ...attributesOf(path) };
}

/**
 * A second name: whatever comes takes the place of the file and leaves its inode alone, so nothing of it is lost, be it extended attributes, holes or other
 * names. A copy where the record lies in another file system.
 */
function keep(path: string, image: string): void {
  try {
    linkSync(path, image);
  } catch {
    copyTree(path, image);
  }
}

function attributesOf(path: string): Attributes {
  const { mode, uid, gid, atimeMs, mtimeMs } = lstatSync(path);
  return { mode: mode & 0o7777, uid, gid, atimeMs, mtimeMs };
}
