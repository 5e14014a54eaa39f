// Notes, for whoever looks after a crash, what kinds of effect a half has had beside its recorded file changes.
import { fdatasyncSync, mkdirSync, openSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { syncFolder } from './atomic-file.ts';
import { dropTornLine } from './undo-log.ts';

export type EffectKind =
  /** A transaction was begun: the marker decides. */
  | 'database'
  /** Processes were started: nobody knows what they did. */
  | 'exec'
  /** Rows were committed with a checkpoint: rolling back the transaction does not take them back. */
  | 'checkpoint';

export interface Effect {
  readonly step: string;
  readonly action: 'apply' | 'revert';
  readonly kind: EffectKind;
  readonly name: string;
}

const open = new Map<string, number>();

/** One file per run, appended to. `isUrgent` syncs it: needed where a lost line would make a rollback look complete. */
export function noteEffect(runDir: string, effect: Effect, isUrgent: boolean): void {
  const file = effectsFile(runDir);
  let fd = open.get(file);
  if (fd === undefined) {
    mkdirSync(join(runDir, 'undo'), { recursive: true, mode: 0o700 });
    dropTornLine(file);
    fd = openSync(file, 'a', 0o600);
    for (const folder of [join(runDir, 'undo'), runDir]) syncFolder(folder);
    open.set(file, fd);
  }
  writeFileSync(fd, `${JSON.stringify(effect)}\n`);
  if (isUrgent) fdatasyncSync(fd);
}

/** Those of one half, of all its attempts. A torn last line never took effect. */
export function effectsOf(runDir: string, step: string, action: 'apply' | 'revert'): readonly Effect[] {
  return readLines(effectsFile(runDir)).filter((effect) => effect.step === step && effect.action === action);
}

function effectsFile(runDir: string): string {
  return join(runDir, 'undo', 'effects.ndjson');
}

function readLines(file: string): readonly Effect[] {
  let text: string;
  try {
    text = readFileSync(file, 'utf8');
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return [];
    throw error;
  }
  return text
    .slice(0, text.lastIndexOf('\n') + 1)
    .split('\n')
    .filter((line) => line !== '')
    .map((line): Effect => JSON.parse(line));
}
