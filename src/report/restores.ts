// What a restore by hand would do, or has done, for people.
import type { Difference, RestoreReport } from '../model/ports.ts';
import { count } from './layout.ts';
import { sanitize } from './sanitize.ts';

interface Preview {
  readonly differences: readonly Difference[];
  readonly unchanged: number;
  readonly stopped: readonly string[];
  readonly running: readonly string[];
}

const verbs = { missing: 'add back', differs: 'set back', created: 'put aside' } as const;

export function renderRestorePreview({ differences, unchanged, stopped, running }: Preview): readonly string[] {
  return [
    ...differences.map(({ path, kind, why }) => `would ${verbs[kind]}  ${sanitize(path)}${kind === 'differs' ? ` (${why})` : ''}`),
    `${count(unchanged, 'path')} unchanged.`,
    ...(differences.length === 0 ? [] : ['What is there now is backed up first, and what is replaced is kept in the state folder.']),
    ...(stopped.length === 0 ? [] : [`Stopped for it and started again: ${stopped.join(', ')}.`]),
    ...(running.length === 0 || differences.length === 0
      ? []
      : [
          `Running on, and what they write meanwhile may be lost: ${running.join(', ')}. Stop them first, or give them stopDuringUpgrade: true.`,
        ]),
  ];
}

export function renderRestore({ restored, removed, unchanged }: RestoreReport, dir: string | null): readonly string[] {
  if (dir !== null) return [`${count(restored.length, 'path')} written to ${sanitize(dir)}.`];
  return [
    ...restored.map((path) => `restored  ${sanitize(path)}`),
    ...removed.map((path) => `put aside  ${sanitize(path)}`),
    `${count(unchanged, 'path')} unchanged.`,
  ];
}
