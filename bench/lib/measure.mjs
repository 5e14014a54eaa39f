// Runs commands as whole processes and times them from outside. Given contestants, promises that they take turns (A B C, A B C, …), each in a
// fresh scratch folder, so that whatever else the machine does falls on all of them alike.
import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** GNU time knows the peak memory of a process and of those that it waited for. */
const gnuTime = existsSync('/usr/bin/time') ? '/usr/bin/time' : null;

/**
 * A contestant: `{ name, prepare(dir), command(dir) → [program, ...args], cwd?(dir), check?(dir, stdout), exitCode?, measure?(dir, stdout, ms) → ms }`.
 * Gives, by name, `{ ms, megabytes, all }`: medians over the rounds; the first, a warm-up, does not count.
 */
export async function takeTurns(contestants, { rounds = 5 } = {}) {
  const samples = new Map(contestants.map(({ name }) => [name, []]));
  // Deleted at the very end: ext4 makes new files several times as slowly for a while after thousands were deleted, which would fall on whoever
  // comes next and makes files.
  const scratch = [];
  try {
    for (let round = 0; round <= rounds; round++) {
      for (const contestant of contestants) {
        const sample = await once(contestant, scratch);
        if (round > 0) samples.get(contestant.name).push(sample);
      }
      process.stderr.write(round === rounds ? '\n' : '.');
    }
  } finally {
    for (const dir of scratch) rmSync(dir, { recursive: true, force: true });
  }
  return new Map(
    [...samples].map(([name, taken]) => [
      name,
      { ms: median(taken.map(({ ms }) => ms)), megabytes: median(taken.map(({ megabytes }) => megabytes)), all: taken.map(({ ms }) => ms) },
    ]),
  );
}

async function once({ name, prepare, command, cwd, check, measure, exitCode = 0 }, scratch) {
  const dir = mkdtempSync(join(tmpdir(), 'rungs-bench-'));
  scratch.push(dir);
  await prepare(dir);
  // What the preparation wrote must not be written out at the expense of what is measured.
  spawnSync('sync', ['-f', dir]);
  const report = join(dir, '.time');
  const [program, ...args] = command(dir);
  const [outer, outerArgs] = gnuTime === null ? [program, args] : [gnuTime, ['-f', '%M', '-o', report, program, ...args]];
  const startedAt = performance.now();
  const { status, stdout, stderr, error } = spawnSync(outer, outerArgs, {
    cwd: cwd?.(dir) ?? dir,
    encoding: 'utf8',
    maxBuffer: 1 << 28,
  });
  const ms = performance.now() - startedAt;
  if (error !== undefined || status !== exitCode)
    throw new Error(`${name} ended with ${status}: ${error ?? ''}\n${stdout.slice(-2000)}\n${stderr.slice(-4000)}`);
  await check?.(dir, stdout);
  return {
    ms: measure?.(dir, stdout, ms) ?? ms,
    megabytes: gnuTime === null ? Number.NaN : Number(readFileSync(report, 'utf8').trim().split('\n').at(-1)) / 1024,
  };
}

export function median(values) {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
}
