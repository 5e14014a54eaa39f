// Runs one command and leaves: prints every problem with code, place and hint, and exits with the contract's code.
import { failuresOf } from '../model/failure.ts';
import { rungsVersion } from '../rungs-version.ts';
import { exitCodeOfFailures } from './exit-codes.ts';
import { readInvocation } from './invocation.ts';
import { runProgram } from './program.ts';
import { tell } from './tell.ts';
import type { Terminal } from './terminal.ts';

export async function main(argv: readonly string[], terminal: Terminal): Promise<void> {
  const code = await outcomeOf(argv, terminal);
  await drained(terminal);
  // Not left to the event loop: a daemon that a step left behind may hold a pipe of ours open.
  process.exit(code);
}

async function outcomeOf(argv: readonly string[], terminal: Terminal): Promise<number> {
  const invocation = readInvocation(argv);
  try {
    return await runProgram(argv, invocation, terminal, rungsVersion);
  } catch (error) {
    const failures = failuresOf(error);
    const code = exitCodeOfFailures(failures);
    await tell(failures, code, invocation, terminal);
    if (invocation.isVerbose && error instanceof Error) terminal.err(`${error.stack ?? ''}\n`);
    return code;
  }
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
