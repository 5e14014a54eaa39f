// Records what every service was before the run, and stops those that must not run while steps do: dependents before what they depend on.
import type { Ports, RunContext } from '../src/model/ports.ts';
import { dependencyWaves } from '../src/model/service-order.ts';

type Needs = Pick<Ports, 'journal' | 'events' | 'services'>;

export async function rememberServices({ journal, services }: Needs, run: RunContext): Promise<void> {
  const known = await journal.servicesBefore(run.id);
  const unknown = Object.values(run.config.services).filter(({ name }) => known[name] === undefined);
  if (unknown.length === 0) return;
  const states = await Promise.all(unknown.map(async (service) => [service.name, await services.inspect(service)] as const));
  await journal.rememberServices(run.id, Object.fromEntries(states));
}

/** Gives the names of those that still ran. */
export async function stopServices(
  { journal, events, services }: Needs,
  run: RunContext,
  signal?: AbortSignal,
): Promise<readonly string[]> {
  const all = Object.values(run.config.services);
  const before = await journal.servicesBefore(run.id);
  const wanted = all.filter(({ name, stopDuringUpgrade }) => stopDuringUpgrade && before[name]?.isRunning === true).map(({ name }) => name);
  const stopped: string[] = [];
  for (const wave of dependencyWaves(all, wanted).toReversed()) {
    await Promise.all(
      wave.map(async (service) => {
        const now = await services.inspect(service);
        if (!now.isRunning) return;
        await journal.intend(run.id, `stop:${service.name}`, now);
        events.emit({ type: 'service', service: service.name, action: 'stopping' });
        await services.stop(service, signal);
        await journal.settle(run.id, `stop:${service.name}`, null);
        events.emit({ type: 'service', service: service.name, action: 'stopped' });
        stopped.push(service.name);
      }),
    );
  }
  return stopped;
}
