// Records what every service was before the run, and stops those that must not run while steps do: dependents before what they depend on.
import { failuresOf } from '../src/model/failure.ts';
import type { Config } from '../src/model/config.ts';
import type { Ports, RunContext } from '../src/model/ports.ts';
import { reversed, waitsFor } from '../src/model/service-order.ts';
import { inOrder } from './in-order.ts';

type Needs = Pick<Ports, 'journal' | 'events' | 'services'>;
/** A restore by hand has both too. */
type Run = Pick<RunContext, 'id' | 'config'>;

export async function rememberServices({ journal, services }: Needs, run: Run): Promise<void> {
  const known = await journal.servicesBefore(run.id);
  const unknown = Object.values(run.config.services).filter(({ name }) => known[name] === undefined);
  if (unknown.length === 0) return;
  const states = await Promise.all(unknown.map(async (service) => [service.name, await services.inspect(service)] as const));
  await journal.rememberServices(run.id, Object.fromEntries(states));
}

/** Gives the names of those that still ran. */
export async function stopServices(ports: Needs, run: Run, signal?: AbortSignal): Promise<readonly string[]> {
  const { journal, events, services } = ports;
  const byName = run.config.services;
  const before = await journal.servicesBefore(run.id);
  const wanted = Object.values(byName).filter(({ name, stopDuringUpgrade }) => stopDuringUpgrade && before[name]?.isRunning === true);
  if (wanted.length === 0) return [];
  // A rollback, which nobody can cancel, stops all that it can.
  const goesOn = signal === undefined;
  const names = wanted.map(({ name }) => name);
  const order = await startOrder(ports, run, names, { signal, isForced: goesOn });
  const stopped: string[] = [];
  const stop = async (name: string): Promise<void> => {
    const service = byName[name];
    if (service === undefined) return;
    const now = await services.inspect(service, signal);
    if (!now.isRunning) return;
    await journal.intend(run.id, `stop:${name}`, now);
    events.emit({ type: 'service', service: name, action: 'stopping' });
    await services.stop(service, signal);
    await journal.settle(run.id, `stop:${name}`, null);
    events.emit({ type: 'service', service: name, action: 'stopped' });
    stopped.push(name);
  };
  await inOrder(reversed(order), stop, { limit: run.config.parallelRestarts, goesOn });
  return stopped;
}

/** What each waits for, of those that are wanted. A circle that an engine has part in does not keep a rollback (`isForced`) from its end: then `after:` alone counts. */
export async function startOrder(
  { services, events }: Pick<Ports, 'services' | 'events'>,
  { config }: Run,
  wanted: readonly string[],
  { signal, isForced }: { readonly signal: AbortSignal | undefined; readonly isForced: boolean },
): Promise<ReadonlyMap<string, ReadonlySet<string>>> {
  const edges = await services.order(Object.values(config.services), signal);
  try {
    return waitsFor(edges, wanted);
  } catch (error) {
    if (!isForced) throw error;
    for (const { code, message } of failuresOf(error)) events.emit({ type: 'warning', message: `${code}: ${message}` });
    return waitsFor(
      edges.filter(({ source }) => source === null),
      wanted,
    );
  }
}

/** Whether nothing that is stopped during upgrades writes now: what is saved then is of one moment. Without such services nobody can say so. */
export async function areStopped({ services }: Pick<Ports, 'services'>, config: Pick<Config, 'services'>): Promise<boolean> {
  const writers = Object.values(config.services).filter(({ stopDuringUpgrade }) => stopDuringUpgrade);
  const states = await Promise.all(writers.map((service) => services.inspect(service)));
  return states.length > 0 && states.every(({ isRunning }) => !isRunning);
}
