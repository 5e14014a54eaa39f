// The checkpoint of a step that uses no database: a synced file in the run's folder.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { messageOf } from '../../model/failure.ts';
import { replaceFile } from './atomic-file.ts';

export function checkpointFile(runDir: string, stepId: string, action: 'apply' | 'revert'): string {
  return join(runDir, 'checkpoints', `${stepId}.${action}.json`);
}

export function saveCheckpointFile(file: string, value: unknown): void {
  replaceFile(file, JSON.stringify({ value }), { mode: 0o600 });
}

/** `null` where none was saved. */
export function readCheckpointFile(file: string): { readonly value: unknown } | null {
  try {
    const saved: unknown = JSON.parse(readFileSync(file, 'utf8'));
    return typeof saved === 'object' && saved !== null && 'value' in saved ? { value: saved.value } : { value: undefined };
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return null;
    throw new Error(`the checkpoint ${file} cannot be read: ${messageOf(error)}`, { cause: error });
  }
}
