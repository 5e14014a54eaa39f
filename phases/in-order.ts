// Works through what waits for each other: each as soon as all that it waits for is done, so that a slow one holds up nobody but its own.
// Given who waits for whom, without circles; promises that nothing is begun before what it waits for, that no more than `limit` are under way,
// that all that was begun has ended when it resolves, and that every failure is told. After one nothing more is begun, but where `goesOn`.
import { failuresOf, UpgradeError, type Failure } from '../src/model/failure.ts';

export async function inOrder(
  order: ReadonlyMap<string, ReadonlySet<string>>,
  work: (name: string) => Promise<void>,
  { limit, goesOn = false }: { readonly limit: number; readonly goesOn?: boolean },
): Promise<void> {
  const problems: Failure[] = [];
  const [waiting, done] = [new Set(order.keys()), new Set<string>()];
  const running = new Map<string, Promise<void>>();
  const isReady = (name: string): boolean => [...(order.get(name) ?? [])].every((other) => done.has(other));
  const begin = (name: string): void => {
    waiting.delete(name);
    const ended = work(name)
      .catch((error: unknown) => void problems.push(...failuresOf(error)))
      .finally(() => {
        running.delete(name);
        done.add(name);
      });
    running.set(name, ended);
  };
  for (;;) {
    if (problems.length === 0 || goesOn) {
      const ready = [...waiting].filter(isReady);
      ready.slice(0, Math.max(0, limit - running.size)).forEach(begin);
    }
    if (running.size === 0) break;
    await Promise.race(running.values());
  }
  if (problems.length > 0) throw new UpgradeError(problems);
}
