// The run's private copies of the transition folders: only these are executed. Given a plan, promises that every file in the copies has
// the SHA-256 that the plan froze, and that the copies outlive a power cut.
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { closeSync, existsSync, fsyncSync, mkdirSync, openSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import type { Failure } from '../model/failure.ts';
import { failure } from '../model/failure.ts';
import type { Plan, Transition } from '../model/plan.ts';

// Above this one `syncfs` is cheaper than a sync per file.
const manyFiles = 64;

/** Gives the problems: files that are neither in the copies nor in the migrations as the plan knew them. */
export function copyTransitions(plan: Plan, copies: string): readonly Failure[] {
  const written: string[] = [];
  const bad: string[] = [];
  for (const transition of plan.transitions) {
    mkdirSync(path.join(copies, transition.id), { recursive: true, mode: 0o700 });
    for (const file of transition.files) {
      const copied = copyOne(transition, file.path, file.sha256, copies);
      if (copied === 'written') written.push(path.join(copies, transition.id, file.path));
      if (copied === 'changed') bad.push(`${transition.id}/${file.path}`);
    }
  }
  if (bad.length > 0) return [failure('PLAN_FILES_CHANGED', { files: bad }, { phase: 'discovery' })];
  makeDurable(written, plan, copies);
  return [];
}

function copyOne(transition: Transition, file: string, sha256: string, copies: string): 'kept' | 'written' | 'changed' {
  const target = path.join(copies, transition.id, file);
  if (existsSync(target) && digest(readFileSync(target)) === sha256) return 'kept';
  const source = path.join(transition.dir, file);
  if (!existsSync(source)) return 'changed';
  const bytes = readFileSync(source);
  if (digest(bytes) !== sha256) return 'changed';
  if (file.includes('/')) mkdirSync(path.dirname(target), { recursive: true, mode: 0o700 });
  writeFileSync(target, bytes, { mode: 0o700 });
  return 'written';
}

function digest(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex');
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
  for (const entry of [...files, ...folders]) syncPath(entry);
}

function syncPath(entry: string): void {
  const fd = openSync(entry, 'r');
  try {
    fsyncSync(fd);
  } finally {
    closeSync(fd);
  }
}
