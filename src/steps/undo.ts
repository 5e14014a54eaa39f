// Takes back what a half of a step recorded, newest first. May be killed at any point and repeated: each entry is undone once or twice, with the same result.
import {
  closeSync,
  existsSync,
  fdatasyncSync,
  linkSync,
  lstatSync,
  mkdirSync,
  openSync,
  readdirSync,
  rmSync,
  rmdirSync,
  symlinkSync,
  renameSync,
  unlinkSync,
  utimesSync,
  writeSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import type { Config } from '../model/config.ts';
import type { RunContext } from '../model/ports.ts';
import type { StepOrder } from '../model/run.ts';
import { isMarked } from './examine.ts';
import { syncFolder, temporaryFor } from './host/atomic-file.ts';
import { effectsOf } from './host/effects.ts';
import { copyTree, isCrossDevice, moveTree, setAttributes } from './host/tree.ts';
import { pendingEntries, undoDir, undoneFile } from './host/undo-log.ts';
import type { Attributes, Before, UndoEntry } from './host/undo-log.ts';

/** `isComplete`: the step did nothing but what is taken back now, and its transactions were never committed. */
export async function undoRecorded(
  order: StepOrder,
  config: Config,
  run: RunContext,
): Promise<{ readonly undone: number; readonly isComplete: boolean }> {
  const { step, action } = order;
  const undone = undoEntries(undoDir(run.dir, step.id, action), config.root);
  const isTransactional = step.kind === 'ts' || step.kind === 'js' || (step.kind === 'sql' && step.transaction);
  const effects = effectsOf(run.dir, step.id, action);
  const hasOtherEffects = effects.some(({ kind }) => kind === 'exec' || kind === 'checkpoint');
  return { undone, isComplete: isTransactional && !hasOtherEffects && !(await isCommitted(order, config, run)) };
}

/** What was committed with its marker is not taken back here. */
async function isCommitted(order: StepOrder, config: Config, run: RunContext): Promise<boolean> {
  const { step, action } = order;
  const hasMarker = await isMarked(order, config, run);
  if (action === 'apply') return hasMarker;
  return (
    !hasMarker &&
    (step.kind === 'sql' || step.isDatabaseOnly || effectsOf(run.dir, step.id, 'revert').some(({ kind }) => kind === 'database'))
  );
}

function undoEntries(dir: string, root: string): number {
  const left = pendingEntries(dir).toReversed();
  if (left.length === 0) return 0;
  const fd = openSync(undoneFile(dir), 'a', 0o600);
  try {
    for (const entry of left) {
      undoEntry(entry, dir, root);
      // Only now, as the order matters: what was moved back must not be taken for something that the step had made.
      writeSync(fd, `${entry.n}\n`);
      fdatasyncSync(fd);
    }
  } finally {
    closeSync(fd);
  }
  syncFolder(dir);
  return left.length;
}

function undoEntry(entry: UndoEntry, dir: string, root: string): void {
  const path = join(root, entry.path);
  if (entry.change === 'move') {
    const to = join(root, entry.to);
    if (!exists(path) && exists(to)) renameSync(to, path);
    syncFolder(dirname(to));
    syncFolder(dirname(path));
    restoreTimes(entry.toParent, root);
  } else {
    rmSync(temporaryFor(path), { recursive: true, force: true });
    putBack(path, entry.before, dir, join(dir, `left-${entry.n}`));
  }
  restoreTimes(entry.parent, root);
}

function putBack(path: string, before: Before, dir: string, left: string): void {
  switch (before.type) {
    case 'nothing':
      return setAside(path, left);
    case 'file':
      return putFileBack(path, join(dir, before.image), before, left);
    case 'link':
      return putLinkBack(path, before.target, before, left);
    case 'folder':
      return putFolderBack(path, join(dir, before.aside), left);
    case 'attributes':
      if (exists(path)) setAttributes(path, { ...before, isSymbolicLink: () => isLink(path) });
  }
}

/** The image keeps its name, so that it is still there when this is repeated. */
function putFileBack(path: string, image: string, attributes: Attributes, left: string): void {
  const found = lstatSync(path, { throwIfNoEntry: false });
  if (found?.isDirectory() === true) setAside(path, left);
  const staged = temporaryFor(path);
  mkdirSync(dirname(path), { recursive: true });
  rmSync(staged, { recursive: true, force: true });
  if (!linked(image, staged)) copyTree(image, staged);
  const { mode, uid, gid, mtimeMs } = lstatSync(staged);
  const isExact = (mode & 0o7777) === attributes.mode && uid === attributes.uid && gid === attributes.gid && mtimeMs === attributes.mtimeMs;
  if (!isExact) setAttributes(staged, { ...attributes, isSymbolicLink: () => false });
  renameSync(staged, path);
  // A rename between two names of one inode does nothing, and an earlier attempt had come as far as this.
  rmSync(staged, { force: true });
  syncFolder(dirname(path));
}

/** False where they do not lie in one file system. */
function linked(image: string, staged: string): boolean {
  try {
    linkSync(image, staged);
    return true;
  } catch {
    return false;
  }
}

function putLinkBack(path: string, target: string, attributes: Attributes, left: string): void {
  const found = lstatSync(path, { throwIfNoEntry: false });
  if (found?.isDirectory() === true) setAside(path, left);
  const staged = temporaryFor(path);
  mkdirSync(dirname(path), { recursive: true });
  rmSync(staged, { recursive: true, force: true });
  symlinkSync(target, staged);
  setAttributes(staged, { ...attributes, isSymbolicLink: () => true });
  renameSync(staged, path);
  syncFolder(dirname(path));
}

/** Nothing aside: it was never moved away, or has been moved back already. */
function putFolderBack(path: string, aside: string, left: string): void {
  if (!exists(aside)) return;
  setAside(path, left);
  try {
    renameSync(aside, path);
  } catch (error) {
    if (!isCrossDevice(error)) throw error;
    const staged = temporaryFor(path);
    rmSync(staged, { recursive: true, force: true });
    copyTree(aside, staged);
    renameSync(staged, path);
    syncFolder(dirname(path));
    renameSync(aside, `${aside}.done`); // Not removed: half of it would be taken for all of it when this is repeated.
  }
  syncFolder(dirname(path));
}

/** What the step made goes, but is kept beside the record: somebody else may have written to it. */
function setAside(path: string, left: string): void {
  const found = lstatSync(path, { throwIfNoEntry: false });
  if (found === undefined) return;
  if (found.isDirectory() && readdirSync(path).length === 0) rmdirSync(path);
  else if (found.isSymbolicLink()) unlinkSync(path);
  else {
    rmSync(left, { recursive: true, force: true });
    moveTree(path, left);
  }
  syncFolder(dirname(path));
}

function restoreTimes(parent: UndoEntry['parent'], root: string): void {
  if (parent === null) return;
  const path = join(root, parent.path);
  if (existsSync(path)) utimesSync(path, parent.atimeMs / 1000, parent.mtimeMs / 1000);
}

function exists(path: string): boolean {
  return lstatSync(path, { throwIfNoEntry: false }) !== undefined;
}

function isLink(path: string): boolean {
  return lstatSync(path).isSymbolicLink();
}
