// What a rollback needs of a unit beyond whether it ran: whether it was enabled or masked, and what would start it. And how that is put back.
import { fail } from '../../model/failure.ts';
import type { Clock, Json, ServiceState } from '../../model/ports.ts';
import type { ServiceOf } from '../registry.ts';
import { showUnit, type ShownUnit } from './shown-unit.ts';
import { systemctl, type Scope } from './systemctl.ts';

export interface KeptUnit {
  /** `UnitFileState`. */
  readonly enabled: string;
  /** Sockets, timers and paths that were active, and start it when they are asked. */
  readonly triggers: readonly string[];
}

const actMs = 60_000;

export async function keptOf(
  shown: ShownUnit,
  scope: Scope,
  clock: Clock,
): Promise<{ readonly enabled: string; readonly triggers: readonly string[] }> {
  const others = await Promise.all(shown.triggeredBy.map((other) => showUnit(other, scope, clock)));
  return { enabled: shown.enabled, triggers: others.filter(({ active }) => active === 'active').map(({ id }) => id) };
}

/** What an earlier process wrote down; nothing where it did not. */
export function readKept(kept: Json | undefined): KeptUnit | null {
  if (typeof kept !== 'object' || kept === null || !('enabled' in kept) || !('triggers' in kept)) return null;
  const { enabled, triggers } = kept;
  if (typeof enabled !== 'string' || !Array.isArray(triggers)) return null;
  return { enabled, triggers: triggers.filter((name) => typeof name === 'string') };
}

/** Safe to repeat: what is as it was is left alone. Throws SYSTEMD_NOT_PUT_BACK. */
export async function putBackUnit(
  { name, scope }: ServiceOf<'systemd'>,
  unit: string,
  before: ServiceState,
  { clock, signal }: { readonly clock: Clock; readonly signal?: AbortSignal | undefined },
): Promise<void> {
  const kept = readKept(before.kept);
  if (kept === null) return;
  const log: string[] = [];
  const tell = async (...args: readonly string[]): Promise<void> => {
    const { lines, exitCode } = await systemctl([...args, '--', unit], { scope, clock, timeoutMs: actMs, signal });
    if (exitCode !== 0) log.push(...lines);
  };
  const now = await showUnit(unit, scope, clock);
  // A loop that a step has begun.
  if (!before.isRunning && now.sub === 'auto-restart') await tell('stop');
  if (now.enabled === kept.enabled) return;
  for (const args of wayBack(now.enabled, kept.enabled)) await tell(...args);
  if (!isMadeByCommand(kept.enabled)) return;
  const after = await showUnit(unit, scope, clock);
  if (after.enabled !== kept.enabled)
    throw fail('SYSTEMD_NOT_PUT_BACK', { service: name, unit, was: kept.enabled, is: after.enabled }, { log });
}

/** From one state of a unit file to another. What a step has brought and nobody enabled before is disabled. */
function wayBack(now: string, before: string): readonly (readonly string[])[] {
  const runtime = (state: string) => (state.endsWith('-runtime') ? ['--runtime'] : []);
  const unmask = now.startsWith('masked') ? [['unmask', ...runtime(now)]] : [];
  if (before.startsWith('masked')) return [...unmask, ['mask', ...runtime(before)]];
  if (before.startsWith('enabled')) return [...unmask, ['enable', ...runtime(before)]];
  return now.startsWith('enabled') || now.startsWith('masked') ? [...unmask, ['disable'], ['disable', '--runtime']] : [];
}

/** Static, generated and the like are what its file says. */
function isMadeByCommand(state: string): boolean {
  return state === 'disabled' || state.startsWith('enabled') || state.startsWith('masked');
}
