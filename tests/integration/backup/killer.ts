// Calls methods of the library in processes of their own that kill themselves at a given place: see `fixtures/backup/kill-at.mjs`.
import { spawn, type ChildProcessWithoutNullStreams } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { onTestFinished } from 'vitest';

export interface Call {
  readonly config: string;
  readonly action: 'createBackup' | 'verifyBackup' | 'restoreBackup' | 'resumeRestore' | 'importBackup' | 'exportBackup';
  readonly args: readonly unknown[];
}

export interface Killer {
  /** How much there is to be killed at. Throws what the call throws. */
  count(call: Call): Promise<number>;
  /** Whether it was killed before it had ended. */
  killAt(call: Call, at: number): Promise<boolean>;
}

const program = join(import.meta.dirname, '../../fixtures/backup/kill-at.mjs');

/** The next process loads while the present one is looked after. */
export function startKiller(): Killer {
  const start = (): ChildProcessWithoutNullStreams => spawn(process.execPath, [program], { stdio: 'pipe' });
  let spare = start();
  onTestFinished(() => void spare.kill('SIGKILL'));
  const run = async (call: Call & { readonly at?: number }): Promise<{ readonly wasKilled: boolean; readonly output: string }> => {
    const child = spare;
    spare = start();
    let [output, complaints] = ['', ''];
    child.stdout.setEncoding('utf8').on('data', (text: string) => (output += text));
    child.stderr.setEncoding('utf8').on('data', (text: string) => (complaints += text));
    child.stdin.on('error', () => undefined);
    child.stdin.end(`${JSON.stringify(call)}\n`);
    await once(child, 'close');
    const wasKilled = child.signalCode === 'SIGKILL';
    if (!wasKilled && child.exitCode !== 0) throw new Error(complaints);
    return { wasKilled, output };
  };
  return {
    count: async (call) => Number((await run(call)).output),
    killAt: async (call, at) => (await run({ ...call, at })).wasKilled,
  };
}

/** One place at random in each of so many equal parts, the same ones each time: a failure can be looked at. */
export function placesIn(total: number, parts: number, seed: number): readonly number[] {
  let state = seed >>> 0;
  const random = (): number => {
    // mulberry32
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
  return Array.from({ length: parts }, (_, part) => 1 + Math.floor(((part + random()) / parts) * total));
}
