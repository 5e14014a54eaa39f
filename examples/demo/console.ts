// What the demos have in common: how they print, which flags they take, and how they are interrupted.
import type { ChildProcess } from 'node:child_process';
import { parseArgs } from 'node:util';
import pc from 'picocolors';

const exits: Readonly<Record<number, string>> = { 0: 'committed', 10: 'failed, rolled back, the old state proven' };

export function title(text: string, remark: string): void {
  say(`\n${pc.bold(text)}  ${pc.dim(remark)}`);
}

export function say(text: string): void {
  process.stdout.write(`${text}\n`);
}

export function seconds(ms: number): string {
  return `${(ms / 1000).toFixed(1)} s`;
}

export type Lines = readonly (readonly [label: string, text: string])[];

/** What is as it was before is dim. */
export function table(lines: Lines, before?: Lines): void {
  for (const [index, [label, text]] of lines.entries()) {
    const isSame = before !== undefined && before[index]?.[1] === text;
    say(`  ${label.padEnd(9)} ${isSame ? pc.dim(text) : text}`);
  }
}

export function tellExit(code: number | null, signal: NodeJS.Signals | null): void {
  say(`\n  exit code ${code ?? signal}${code !== null && code in exits ? `: ${exits[code]}` : ''}`);
}

/** `null`: told that they are wrong. */
export function flagsOf(args: readonly string[], usage: string): { readonly break: boolean; readonly keep: boolean } | null {
  try {
    const { values } = parseArgs({
      args: [...args],
      options: { break: { type: 'boolean', default: false }, keep: { type: 'boolean', default: false } },
    });
    return values;
  } catch (error) {
    process.stderr.write(`${error instanceof Error ? error.message : String(error)}\nUsage: ${usage}\n`);
    return null;
  }
}

export interface Interrupt {
  readonly isAsked: () => boolean;
  readonly throwIfAsked: () => void;
  /** The upgrade is told as well, rolls back, and is waited for. */
  readonly passOnTo: (child: ChildProcess) => void;
  readonly stop: () => void;
}

export function watchForInterrupt(): Interrupt {
  let isAsked = false;
  let running: ChildProcess | null = null;
  const onSignal = (signal: NodeJS.Signals) => {
    isAsked = true;
    // Ctrl-C on a terminal reaches the whole process group by itself, and a second SIGINT would mean "at once".
    if (signal === 'SIGTERM' || !process.stdin.isTTY) running?.kill(signal);
  };
  process.on('SIGINT', onSignal).on('SIGTERM', onSignal);
  return {
    isAsked: () => isAsked,
    throwIfAsked: () => {
      if (isAsked) throw new Error('interrupted');
    },
    passOnTo: (child) => {
      running = child;
    },
    stop: () => {
      process.off('SIGINT', onSignal).off('SIGTERM', onSignal);
    },
  };
}
