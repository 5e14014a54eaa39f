// Which services a run restarts, and what each of them waits for. Pure.
import type { Config } from './config.ts';
import { fail } from './failure.ts';
import type { Step } from './plan.ts';
import type { ServiceEdge } from './ports.ts';

/** The services that the steps name, in the order of the config; `*` is all. Throws SERVICE_UNKNOWN with every name that the config lacks. */
export function servicesToRestart(steps: readonly Pick<Step, 'requiresRestart'>[], config: Pick<Config, 'services'>): readonly string[] {
  const named = new Set(steps.flatMap(({ requiresRestart }) => requiresRestart));
  const known = Object.keys(config.services);
  if (named.delete('*')) known.forEach((name) => named.add(name));
  refuseUnknown([...named], known);
  return known.filter((name) => named.has(name));
}

/**
 * For each wanted service those of the wanted ones that it waits for, also through services that are not wanted; in the order of `wanted`.
 * Throws SERVICE_CYCLE, which says who asks for each part of the circle.
 */
export function waitsFor(edges: readonly ServiceEdge[], wanted: Iterable<string>): ReadonlyMap<string, ReadonlySet<string>> {
  const bySource = Map.groupBy(edges, ({ service }) => service);
  const names = new Set(wanted);
  const known = new Map<string, ReadonlySet<string>>();
  // What is wanted among all that comes before a service, the nearest only: they wait for the rest themselves.
  const nearest = (name: string, path: readonly ServiceEdge[]): ReadonlySet<string> => {
    const start = path.findIndex(({ service }) => service === name);
    if (start >= 0) throw fail('SERVICE_CYCLE', { edges: path.slice(start) });
    const found = known.get(name);
    if (found !== undefined) return found;
    const result = new Set<string>();
    for (const edge of bySource.get(name) ?? []) {
      const beyond = nearest(edge.after, [...path, edge]);
      if (names.has(edge.after)) result.add(edge.after);
      else beyond.forEach((other) => result.add(other));
    }
    known.set(name, result);
    return result;
  };
  return new Map([...names].map((name) => [name, nearest(name, [])]));
}

/** The other way round: who waits for whom when they are stopped. */
export function reversed(order: ReadonlyMap<string, ReadonlySet<string>>): ReadonlyMap<string, ReadonlySet<string>> {
  const names = [...order.keys()].toReversed();
  return new Map(names.map((name) => [name, new Set(names.filter((other) => order.get(other)?.has(name) === true))]));
}

function refuseUnknown(names: readonly string[], known: readonly string[]): void {
  const unknown = names.filter((name) => !known.includes(name));
  if (unknown.length > 0) throw fail('SERVICE_UNKNOWN', { services: unknown, known });
}
