// What signals mean to a run: the first SIGINT or SIGTERM stops it at the next safe point, a second SIGINT at once, SIGHUP nothing.
import { failure, UpgradeError } from '../model/failure.ts';
import type { Terminal } from './terminal.ts';

// What a shell sees of a program that died of SIGINT.
const interrupted = 130;

/** `onStop` hears the first signal, and may say something else about it than that everything is put back. */
export async function untilInterrupted<T>(
  terminal: Pick<Terminal, 'err'>,
  work: (signal: AbortSignal) => Promise<T>,
  onStop: (signal: NodeJS.Signals) => string | null = () => null,
): Promise<T> {
  const controller = new AbortController();
  const stop = (signal: NodeJS.Signals): void => {
    if (controller.signal.aborted) {
      if (signal !== 'SIGINT') return;
      terminal.err('\nStopped at once. "upgrade resume" goes on, "upgrade rollback" undoes.\n');
      process.exit(interrupted);
    }
    const usual = `${signal}: stopping at the next safe point and putting everything back. Press Ctrl-C again to stop at once.`;
    terminal.err(`\n${onStop(signal) ?? usual}\n`);
    controller.abort(new UpgradeError([failure('CANCELLED', { signal })]));
  };
  const ignore = (): void => undefined;
  process.on('SIGINT', stop).on('SIGTERM', stop).on('SIGHUP', ignore);
  try {
    return await work(controller.signal);
  } finally {
    process.off('SIGINT', stop).off('SIGTERM', stop).off('SIGHUP', ignore);
  }
}
