// `ctx.files`: changes to files of the installation. Promises that each is atomic, stays inside the root, and was recorded before it is made.
import {
  chmodSync,
  closeSync,
  existsSync,
  fsyncSync,
  lstatSync,
  mkdirSync,
  openSync,
  readFileSync,
  readdirSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  unlinkSync,
} from 'node:fs';
import { dirname, isAbsolute, relative, resolve } from 'node:path';
import { fail, messageOf, UpgradeError } from '../../model/failure.ts';
import type { StepFiles } from '../../step-api.ts';
import { replaceFile, syncFolder, temporaryFor } from './atomic-file.ts';
import { confine } from './confine.ts';
import type { Confinement } from './confine.ts';
import { editEnv } from './edit-env.ts';
import { editJson } from './edit-json.ts';
import { editYaml } from './edit-yaml.ts';
import type { HostOrder, HostRun } from './protocol.ts';
import { copyTree, isCrossDevice, moveTree } from './tree.ts';
import { openUndoLog, undoDir } from './undo-log.ts';
import type { UndoLog } from './undo-log.ts';

export function createStepFiles(order: HostOrder, run: HostRun): StepFiles {
  const within: Confinement = { root: run.root, protectedPaths: run.protectedPaths, step: order.id };
  const log = openUndoLog(undoDir(run.runDir, order.id, order.action), run.root);
  const at = (path: string): string => confine(path, within, true);
  const itself = (path: string): string => confine(path, within, false);

  /** Whatever the file system says is told with the step and the path that it wrote. */
  const told = async <Result>(path: string, work: () => Result | Promise<Result>): Promise<Result> => {
    try {
      return await work();
    } catch (error) {
      if (error instanceof UpgradeError) throw error;
      throw fail('STEP_FILE', { step: order.id, path, error: messageOf(error) }, { step: order.id }, error);
    }
  };
  const write = (target: string, content: string | Uint8Array, mode?: number): void => writeRecorded(target, content, mode, log);
  const edit = (path: string, change: (text: string) => string | Promise<string>): Promise<void> =>
    told(path, async () => {
      const target = at(path);
      const before = existsSync(target) ? readFileSync(target, 'utf8') : '';
      const after = await change(before);
      if (after !== before) write(target, after);
    });

  return {
    read: (path) => told(path, () => readFileSync(at(path), 'utf8')),
    readBytes: (path) => told(path, () => new Uint8Array(readFileSync(at(path)))),
    exists: (path) => told(path, () => existsSync(at(path))),
    list: (folder) => told(folder, () => readdirSync(at(folder)).toSorted()),
    write: (path, content, options = {}) => told(path, () => write(at(path), content, options.mode)),
    append: (path, content) =>
      told(path, () => {
        const target = at(path);
        const before = existsSync(target) ? readFileSync(target) : Buffer.alloc(0);
        write(target, Buffer.concat([before, Buffer.from(content)]));
      }),
    updateYaml: (path, change) => edit(path, (text) => editYaml(text, change)),
    updateJson: (path, change) => edit(path, (text) => editJson(text, change)),
    updateEnv: (path, change) => edit(path, (text) => editEnv(text, change)),
    move: (from, to) => told(from, () => moveRecorded(itself(from), itself(to), log)),
    copy: (from, to) => told(from, () => copyRecorded(at(from), itself(to), log)),
    remove: (path) => told(path, () => removeRecorded(itself(path), log)),
    mkdir: (path, options = {}) => told(path, () => makeFolder(at(path), log, options.mode)),
    chmod: (path, mode) => told(path, () => chmodRecorded(at(path), mode, log)),
    symlink: (target, path) =>
      told(path, () => {
        const link = itself(path);
        // A link out would lead the next change of a file out too.
        at(isAbsolute(target) ? target : relative(run.root, resolve(dirname(link), target)) || '.');
        linkRecorded(target, link, log);
      }),
  };
}

function writeRecorded(target: string, content: string | Uint8Array, mode: number | undefined, log: UndoLog): void {
  const found = statSync(target, { throwIfNoEntry: false });
  if (found !== undefined && !found.isFile()) throw new Error('it is not a file');
  makeFolder(dirname(target), log);
  log.replace(target);
  const kept = found === undefined ? {} : { mode: found.mode & 0o7777, uid: found.uid, gid: found.gid };
  replaceFile(target, content, { ...kept, ...(mode === undefined ? {} : { mode }) });
}

/** Missing folders above it too: one entry for the topmost takes them all back. */
function makeFolder(target: string, log: UndoLog, mode?: number): void {
  const found = statSync(target, { throwIfNoEntry: false });
  if (found?.isDirectory() === true) return;
  if (found !== undefined) throw new Error('it is there already, and is not a folder');
  let top = target;
  while (!existsSync(dirname(top))) top = dirname(top);
  log.replace(top);
  mkdirSync(target, { recursive: true });
  if (mode !== undefined) chmodSync(target, mode);
  for (let each = target; each !== dirname(top); each = dirname(each)) syncFolder(each);
  syncFolder(dirname(top));
}

function moveRecorded(from: string, to: string, log: UndoLog): void {
  lstatSync(from);
  clearWay(to, log);
  log.move(from, to);
  try {
    renameSync(from, to);
    syncFolder(dirname(to));
    syncFolder(dirname(from));
  } catch (error) {
    if (!isCrossDevice(error)) throw error;
    placeCopy(from, to, log);
    removeRecorded(from, log);
  }
}

function copyRecorded(from: string, to: string, log: UndoLog): void {
  clearWay(to, log);
  placeCopy(from, to, log);
}

/** A file or a link that is in the way is recorded and goes; a folder is not overwritten. */
function clearWay(to: string, log: UndoLog): void {
  makeFolder(dirname(to), log);
  const found = lstatSync(to, { throwIfNoEntry: false });
  if (found?.isDirectory() === true) throw new Error(`${to} is there already, and is a folder`);
  if (found !== undefined) log.replace(to);
}

function placeCopy(from: string, to: string, log: UndoLog): void {
  if (lstatSync(to, { throwIfNoEntry: false }) === undefined) log.replace(to);
  const staged = temporaryFor(to);
  rmSync(staged, { recursive: true, force: true });
  copyTree(from, staged);
  renameSync(staged, to);
  syncFolder(dirname(to));
}

function removeRecorded(path: string, log: UndoLog): void {
  const found = lstatSync(path, { throwIfNoEntry: false });
  if (found === undefined) return;
  if (found.isDirectory()) return moveTree(path, log.aside(path));
  log.replace(path);
  unlinkSync(path);
  syncFolder(dirname(path));
}

function chmodRecorded(path: string, mode: number, log: UndoLog): void {
  log.attributes(path);
  const fd = openSync(path, 'r');
  try {
    chmodSync(path, mode);
    fsyncSync(fd);
  } finally {
    closeSync(fd);
  }
}

function linkRecorded(target: string, path: string, log: UndoLog): void {
  clearWay(path, log);
  if (lstatSync(path, { throwIfNoEntry: false }) === undefined) log.replace(path);
  const staged = temporaryFor(path);
  rmSync(staged, { recursive: true, force: true });
  symlinkSync(target, staged);
  renameSync(staged, path);
  syncFolder(dirname(path));
}
