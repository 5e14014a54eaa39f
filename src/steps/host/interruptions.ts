// What ends a step from outside its own promise: an error that nobody handles, or an event loop that has run empty.

export type Interruption = { readonly isInterruption: true; readonly kind: 'unhandled' | 'never-settled'; readonly cause: unknown };

export interface Interruptions {
  /** Settles as the work does, or rejects with an `Interruption`. The event loop is kept alive by the work alone. */
  readonly race: <Result>(work: () => Promise<Result>) => Promise<Result>;
}

/** Installs process-wide listeners: once per process. */
export function watchInterruptions(): Interruptions {
  let interrupt: ((reason: Interruption) => void) | null = null;
  const unhandled = (cause: unknown): void => interrupt?.({ isInterruption: true, kind: 'unhandled', cause });
  process.on('uncaughtException', unhandled);
  process.on('unhandledRejection', unhandled);
  process.on('beforeExit', () => interrupt?.({ isInterruption: true, kind: 'never-settled', cause: null }));
  return {
    race: async (work) => {
      const interrupted = new Promise<never>((_, reject) => {
        interrupt = reject;
      });
      // Else the channel to the orchestrator would keep a loop alive in which nothing can happen any more.
      process.channel?.unref();
      try {
        return await Promise.race([work(), interrupted]);
      } finally {
        interrupt = null;
        if (process.connected) process.channel?.ref();
      }
    },
  };
}

export function isInterruption(error: unknown): error is Interruption {
  return typeof error === 'object' && error !== null && 'isInterruption' in error && error.isInterruption === true;
}
