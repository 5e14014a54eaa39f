// Which services a run restarts, and in which order. Pure.
import type { Config, ServiceConfig } from './config.ts';
import { fail } from './failure.ts';
import type { Step } from './plan.ts';

/** The services that the steps name, in the order of the config; `*` is all. Throws SERVICE_UNKNOWN with every name that the config lacks. */
export function servicesToRestart(steps: readonly Pick<Step, 'requiresRestart'>[], config: Pick<Config, 'services'>): readonly string[] {
  const named = new Set(steps.flatMap(({ requiresRestart }) => requiresRestart));
  const known = Object.keys(config.services);
  if (named.delete('*')) known.forEach((name) => named.add(name));
  refuseUnknown([...named], known);
  return known.filter((name) => named.has(name));
}

/**
 * The wanted services in waves: each wave may start at once, after all waves before it. A service waits for what it names under `after:`,
 * also through services that are not wanted. `stop` turns the order round. Throws SERVICE_UNKNOWN and SERVICE_CYCLE.
 */
export function dependencyWaves(
  services: readonly ServiceConfig[],
  wanted: Iterable<string>,
  order: 'start' | 'stop' = 'start',
): readonly (readonly ServiceConfig[])[] {
  const byName = new Map(services.map((service) => [service.name, service]));
  const names = new Set(wanted);
  refuseUnknown([...names], [...byName.keys()]);

  const ranks = new Map<string, number>();
  const rankOf = (name: string, path: readonly string[]): number => {
    if (path.includes(name)) throw fail('SERVICE_CYCLE', { services: [...path.slice(path.indexOf(name)), name] });
    const ranked = ranks.get(name);
    if (ranked !== undefined) return ranked;
    // A service that is not wanted takes no wave of its own, but passes on what it waits for.
    const before = (byName.get(name)?.after ?? []).map((other) => rankOf(other, [...path, name]) + (names.has(other) ? 1 : 0));
    const rank = Math.max(0, ...before);
    ranks.set(name, rank);
    return rank;
  };

  const waves: ServiceConfig[][] = [];
  for (const service of services) {
    if (!names.has(service.name)) continue;
    const rank = rankOf(service.name, []);
    (waves[rank] ??= []).push(service);
  }
  return order === 'start' ? waves : waves.reverse();
}

function refuseUnknown(names: readonly string[], known: readonly string[]): void {
  const unknown = names.filter((name) => !known.includes(name));
  if (unknown.length > 0) throw fail('SERVICE_UNKNOWN', { services: unknown, known });
}
