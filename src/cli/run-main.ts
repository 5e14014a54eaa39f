// Runs one command and leaves: prints every problem with code, place and hint, and exits with the contract's code.
import { failuresOf, UpgradeError, type Failure } from '../model/failure.ts';
import { rungsVersion } from '../rungs-version.ts';
import { exitCodeOfFailures } from './exit-codes.ts';
import { runProgram } from './program.ts';
import type { Terminal } from './terminal.ts';

export async function main(argv: readonly string[], terminal: Terminal): Promise<void> {
  const code = await outcomeOf(argv, terminal);
  await drained(terminal);
  // Not left to the event loop: a daemon that a step left behind may hold a pipe of ours open.
  process.exit(code);
}

async function outcomeOf(argv: readonly string[], terminal: Terminal): Promise<number> {
  try {
    return await runProgram(argv, terminal, rungsVersion);
  } catch (error) {
    const failures = failuresOf(error);
    await tell(failures, argv, terminal);
    if (argv.includes('-v') || argv.includes('--verbose') || !(error instanceof UpgradeError)) terminal.err(stackOf(error, argv));
    return exitCodeOfFailures(failures);
  }
}

async function tell(failures: readonly Failure[], argv: readonly string[], terminal: Terminal): Promise<void> {
  if (argv.includes('--json') || argv.includes('--events')) {
    terminal.out(`${JSON.stringify({ failure: failures[0] ?? null, failures }, null, argv.includes('--json') ? 2 : 0)}\n`);
    return;
  }
  const [{ renderFailures }, { createInk, wantsColor }] = await Promise.all([import('../report/failures.ts'), import('../report/layout.ts')]);
  const ink = createInk(wantsColor(terminal.stderr.isTTY === true, { flag: !argv.includes('--no-color') }));
  terminal.err(`${renderFailures(failures, { ink, columns: terminal.columns }).join('\n')}\n`);
}

function stackOf(error: unknown, argv: readonly string[]): string {
  const isWanted = argv.includes('-v') || argv.includes('--verbose');
  return isWanted && error instanceof Error ? `${error.stack ?? ''}\n` : '';
}

/** Until what was written has left the process, or the reader is slower than anybody would wait for. */
async function drained({ stdout, stderr }: Terminal): Promise<void> {
  const flushed = [stdout, stderr].map(
    (stream) =>
      new Promise<void>((resolve) => {
        (stream as NodeJS.WriteStream).write('', () => resolve());
      }),
  );
  const deadline = new Promise<void>((resolve) => void setTimeout(resolve, 10_000).unref());
  await Promise.race([Promise.all(flushed), deadline]);
}
