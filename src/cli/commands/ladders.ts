// `upgrade up`, `down`, `redo` and `baseline`: climbs ladders. A climb is a run like an upgrade: backup, journal, lock, verify, rollback.
import { fail } from '../../model/failure.ts';
import type { LadderRequest } from '../../session/climbs.ts';
import { openManager } from '../manager.ts';
import { present } from '../output.ts';
import type { RunFlags } from '../flags.ts';
import type { Terminal } from '../terminal.ts';
import { runPlan } from './upgrade.ts';

export interface LadderFlags extends RunFlags {
  readonly ladder?: string;
}

export async function climb(kind: LadderRequest['kind'], to: string | undefined, flags: LadderFlags, terminal: Terminal): Promise<number> {
  const { ladder, outOfOrder, acceptChecksum } = flags;
  const request: LadderRequest = {
    kind,
    ...(ladder === undefined ? {} : { ladder }),
    ...(to === undefined ? {} : { to: height(to) }),
    ...(outOfOrder === undefined ? {} : { outOfOrder }),
    ...(acceptChecksum === undefined ? {} : { acceptChecksums: acceptChecksum }),
  };
  const manager = await openManager(flags, terminal);
  return runPlan(manager, await manager.planLadders(request), flags, terminal);
}

export async function baseline(wanted: string | undefined, flags: LadderFlags, terminal: Terminal): Promise<number> {
  if (wanted === undefined)
    throw fail('USAGE', { problem: '"upgrade baseline" needs the height at which the ladder stands.', command: 'upgrade baseline' });
  const manager = await openManager(flags, terminal);
  const report = await manager.baseline(height(wanted), {
    ...(flags.ladder === undefined ? {} : { ladder: flags.ladder }),
    dryRun: flags.dryRun === true,
  });
  const { ladder, from, added, removed, dryRun } = report;
  const verb = dryRun ? 'would stand' : 'stands';
  present(flags, terminal, report, () => [
    `Ladder ${ladder} ${verb} at ${report.height} (before: ${from}). Nothing was run.`,
    ...(added.length === 0 ? [] : [`Counted as applied: ${added.join(', ')}`]),
    ...(removed.length === 0 ? [] : [`No longer counted as applied: ${removed.join(', ')}`]),
  ]);
  return 0;
}

function height(text: string): number {
  if (!/^\d{1,15}$/.test(text))
    throw fail('USAGE', { problem: `"${text}" is not a height: the number of a step, or 0 for the ground.`, command: 'upgrade up' });
  return Number(text);
}
