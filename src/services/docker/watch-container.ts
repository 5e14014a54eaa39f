// Tells of everything that the engine tells of one container: it started, died, its health changed. Ends when the signal or the engine ends it.
import type { Container } from './containers.ts';
import type { Engine } from './engine.ts';

/** Longer than any wait. */
const longestMs = 24 * 3_600_000;

export async function watchContainer(engine: Engine, { Id }: Container, onEvent: () => void, signal: AbortSignal): Promise<void> {
  await engine.call(
    'tell of events',
    async (docker, abortSignal) => {
      const events = await docker.getEvents({ filters: { type: ['container'], container: [Id] }, abortSignal });
      const stop = () => 'destroy' in events && typeof events.destroy === 'function' && events.destroy();
      abortSignal.addEventListener('abort', stop, { once: true });
      // It may have changed before anybody listened.
      onEvent();
      for await (const _ of events) onEvent();
    },
    { signal, timeoutMs: longestMs, patienceMs: 0 },
  );
}
