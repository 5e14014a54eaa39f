// Writes the version, last of all. Promises that the installation tells the new version; the journal's own commit follows at once.
import { fail } from '../src/model/failure.ts';
import { climbsOf } from '../src/model/plan.ts';
import type { Ports, RunContext } from '../src/model/ports.ts';
import { checkNotCancelled } from './cancelling.ts';

export async function commit(
  { steps, installation, oldRecords, events }: Pick<Ports, 'steps' | 'installation' | 'oldRecords' | 'events'>,
  run: RunContext,
): Promise<void> {
  checkNotCancelled(run.signal);
  // Every outcome is in the journal by now: the marker rows have decided what they had to.
  await steps.removeMarkers(run);
  for (const finding of await oldRecords.write(climbsOf(run.plan))) events.emit({ type: 'finding', finding });
  const { from, to } = run.plan;
  // Ladders alone have no version to write.
  if (to === null || from === to) return;
  await installation.writeVersion(to);
  const written = await installation.readVersion();
  if (run.config.version.kind !== 'journal' && written !== to)
    throw fail('VERSION_CHANGED', { expected: to, actual: written ?? 'none' }, { phase: 'commit' });
  events.emit({ type: 'version-written', version: to });
}
