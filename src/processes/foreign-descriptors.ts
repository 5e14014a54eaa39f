// Descriptors that we were started with and that every child would get too: Node closes its own on the way, but not those above 15 that came from
// whoever started us. `( flock -n 200; upgrade ) 200> lock` is how cron jobs are written, and a daemon that inherits 200 holds that lock until it ends.
import { closeSync, openSync, readdirSync, readFileSync } from 'node:fs';
import type { StdioOptions } from 'node:child_process';

type Three = readonly ['ignore' | number, 'pipe' | 'ignore' | number, 'pipe' | 'ignore' | number];

/** Gives `start` the stdio that puts `/dev/null` in the place of each of them. Only where `/proc` tells which there are. */
export function withoutForeignDescriptors<T>(stdio: Three, start: (stdio: StdioOptions) => T): T {
  const foreign = inheritable();
  if (foreign.length === 0) return start([...stdio]);
  const nothing = openSync('/dev/null', 'r');
  try {
    const wide: ('pipe' | 'ignore' | number)[] = Array.from({ length: Math.max(...foreign) + 1 }, () => 'ignore');
    stdio.forEach((one, index) => {
      wide[index] = one;
    });
    for (const descriptor of foreign) wide[descriptor] = nothing;
    return start(wide);
  } finally {
    closeSync(nothing);
  }
}

const closeOnExec = 0o2000000;

function inheritable(): readonly number[] {
  let names: readonly string[];
  try {
    names = readdirSync('/proc/self/fd');
  } catch {
    return [];
  }
  return names.map(Number).filter((descriptor) => descriptor > 2 && (flagsOf(descriptor) & closeOnExec) === 0);
}

function flagsOf(descriptor: number): number {
  try {
    const [, octal = ''] = /^flags:\s*([0-7]+)/m.exec(readFileSync(`/proc/self/fdinfo/${descriptor}`, 'utf8')) ?? [];
    return Number.parseInt(octal, 8);
  } catch {
    // The one by which the folder itself was read is gone by now.
    return closeOnExec;
  }
}
