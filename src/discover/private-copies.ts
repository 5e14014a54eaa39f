// The run's private copies of the transition folders: only these are executed. Given a plan, promises that every file in the copies has
// the SHA-256 that the plan froze, and that the copies outlive a power cut.
import { spawnSync } from 'node:child_process';
import { hash } from 'node:crypto';
import { closeSync, existsSync, fsyncSync, mkdirSync, openSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import type { Failure } from '../model/failure.ts';
import { failure } from '../model/failure.ts';
import type { Plan, Transition, TransitionFile } from '../model/plan.ts';
import { fewestPacked, isPackable, largestPackedBytes, packName, packSteps, unpackSteps } from '../model/step-pack.ts';

// Above this one `syncfs` is cheaper than a sync per file.
const manyFiles = 64;

interface Copies {
  readonly dir: string;
  readonly written: string[];
  readonly changed: string[];
}

/** Gives the problems: files that are neither in the copies nor in the migrations as the plan knew them. */
export function copyTransitions(plan: Plan, dir: string): readonly Failure[] {
  const copies: Copies = { dir, written: [], changed: [] };
  for (const transition of plan.transitions) copyTransition(transition, copies);
  if (copies.changed.length > 0) return [failure('PLAN_FILES_CHANGED', { files: copies.changed }, { phase: 'discovery' })];
  makeDurable(copies.written, plan, dir);
  return [];
}

function copyTransition(transition: Transition, copies: Copies): void {
  const target = path.join(copies.dir, transition.id);
  const isNew = mkdirSync(target, { recursive: true, mode: 0o700 }) !== undefined;
  const isPacked = transition.files.filter(({ path: file }) => isPackable(file)).length >= fewestPacked;
  const pack = new Map<string, Uint8Array>();
  const [kept, source] = [isNew ? null : openPack(target), openPack(transition.dir)];
  for (const file of transition.files) {
    const mayBePacked = isPacked && isPackable(file.path);
    const there = isNew ? null : (fits(kept?.get(file.path), file) ?? fits(readIfThere(path.join(target, file.path)), file));
    const bytes = there ?? fits(readIfThere(path.join(transition.dir, file.path)) ?? source?.get(file.path), file);
    if (bytes === null) copies.changed.push(`${transition.id}/${file.path}`);
    else if (mayBePacked && bytes.length <= largestPackedBytes) pack.set(file.path, bytes);
    else if (there === null) writeCopy(path.join(target, file.path), bytes, copies);
  }
  if (pack.size > 0 && copies.changed.length === 0 && !isSame(pack, kept)) writePack(path.join(target, packName), pack);
}

function openPack(dir: string): ReadonlyMap<string, Uint8Array> | null {
  const bytes = readIfThere(path.join(dir, packName));
  return bytes === null ? null : unpackSteps(bytes);
}

function readIfThere(file: string): Buffer | null {
  try {
    return readFileSync(file);
  } catch (error) {
    if (error instanceof Error && 'code' in error && (error.code === 'ENOENT' || error.code === 'ENOTDIR')) return null;
    throw error;
  }
}

function fits(bytes: Uint8Array | null | undefined, { sha256 }: TransitionFile): Uint8Array | null {
  return bytes !== null && bytes !== undefined && hash('sha256', bytes, 'hex') === sha256 ? bytes : null;
}

function isSame(pack: ReadonlyMap<string, Uint8Array>, kept: ReadonlyMap<string, Uint8Array> | null): boolean {
  // What was kept and fits is in the new one as it is.
  return kept !== null && kept.size === pack.size && [...pack].every(([name, bytes]) => kept.get(name) === bytes);
}

function writeCopy(file: string, bytes: Uint8Array, { dir, written }: Copies): void {
  if (path.dirname(path.dirname(file)) !== dir) mkdirSync(path.dirname(file), { recursive: true, mode: 0o700 });
  writeFileSync(file, bytes, { mode: 0o700 });
  written.push(file);
}

/** Whole or not at all, and on disk. */
function writePack(file: string, pack: ReadonlyMap<string, Uint8Array>): void {
  const beside = `${file}.partial`;
  writeFileSync(beside, packSteps(pack), { mode: 0o600 });
  syncPath(beside);
  renameSync(beside, file);
  for (let folder = path.dirname(file), up = 0; up < 3; up++, folder = path.dirname(folder)) syncPath(folder);
}

function makeDurable(files: readonly string[], plan: Plan, copies: string): void {
  if (files.length === 0) return;
  if (files.length > manyFiles && process.platform === 'linux') {
    const synced = spawnSync('sync', ['-f', copies]);
    if (synced.status === 0) return;
  }
  const folders = new Set([
    copies,
    path.dirname(copies),
    ...plan.transitions.map(({ id }) => path.join(copies, id)),
    ...files.map((file) => path.dirname(file)),
  ]);
  for (const entry of [...files, ...folders]) if (existsSync(entry)) syncPath(entry);
}

function syncPath(entry: string): void {
  const fd = openSync(entry, 'r');
  try {
    fsyncSync(fd);
  } finally {
    closeSync(fd);
  }
}
