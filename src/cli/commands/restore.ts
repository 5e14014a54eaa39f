// `upgrade backup restore`: shows what would be lost, asks on a terminal, restores; and finishes a restore that was interrupted.
import path from 'node:path';
import type { EventBody } from '../../model/event.ts';
import { fail } from '../../model/failure.ts';
import type { RestoreReport } from '../../model/ports.ts';
import { renderRestore, renderRestorePreview } from '../../report/restores.ts';
import { createScrubber } from '../../report/scrub.ts';
import type { RestorePreview } from '../../session/restores.ts';
import type { UpdateManager } from '../../update-manager.ts';
import type { CommonFlags } from '../flags.ts';
import { keysOf, type KeyFlags } from './backup.ts';
import { untilInterrupted } from '../interrupts.ts';
import { openManager } from '../manager.ts';
import { present } from '../output.ts';
import { keepHeapSmall } from '../small-heap.ts';
import type { Terminal } from '../terminal.ts';

export interface RestoreFlags extends KeyFlags {
  readonly to?: string;
  readonly dryRun?: boolean;
  /** `--no-safety-copy` makes it false. */
  readonly safetyCopy?: boolean;
  readonly yes?: boolean;
}

export async function restore(id: string, paths: readonly string[], flags: RestoreFlags, terminal: Terminal): Promise<number> {
  keepHeapSmall();
  const manager = await openManager(flags, terminal);
  if (flags.to !== undefined && flags.dryRun === true)
    throw fail('USAGE', { problem: '--to and --dry-run do not go together.', command: 'upgrade backup restore' });
  if (flags.dryRun === true) return show(await manager.previewRestore(id, { paths, ...keysOf(flags, terminal) }), flags, terminal);
  const to = flags.to === undefined ? {} : { to: path.resolve(terminal.cwd, flags.to) };
  const mustAsk = flags.yes !== true && terminal.canAsk && flags.to === undefined;
  const report = await untilInterrupted(terminal, (signal) =>
    manager.restoreBackup(id, {
      ...to,
      paths,
      ...keysOf(flags, terminal),
      noSafetyCopy: flags.safetyCopy === false,
      events: { emit: tell(manager, flags, terminal) },
      signal,
      ...(mustAsk ? { confirm: (preview) => ask(preview, terminal) } : {}),
    }),
  );
  presentReport(report, to.to ?? null, flags, terminal);
  return 0;
}

/** `null` where no restore was interrupted. */
export async function resumeRestore(manager: UpdateManager, flags: KeyFlags, terminal: Terminal): Promise<number | null> {
  const resumed = await untilInterrupted(terminal, (signal) =>
    manager.resumeRestore({ ...keysOf(flags, terminal), events: { emit: tell(manager, flags, terminal) }, signal }),
  );
  if (resumed === null) return null;
  if (flags.json !== true && flags.quiet !== true)
    terminal.err(`The restore of backup ${resumed.backup} that was interrupted is finished.\n`);
  presentReport(resumed.report, null, flags, terminal);
  return 0;
}

function presentReport({ restored, removed, unchanged }: RestoreReport, dir: string | null, flags: CommonFlags, terminal: Terminal): void {
  present(flags, terminal, { restored, removed, unchanged }, () => renderRestore({ restored, removed, unchanged }, dir));
}

/** The document is that of the restore itself, and why each path would be touched. */
function show(preview: RestorePreview, flags: CommonFlags, terminal: Terminal): number {
  const { differences, unchanged } = preview;
  const pathsOf = (isWanted: boolean): readonly string[] =>
    differences.filter(({ kind }) => (kind === 'created') === isWanted).map((difference) => difference.path);
  const change = { missing: 'added', differs: 'changed', created: 'removed' } as const;
  const document = {
    restored: pathsOf(false),
    removed: pathsOf(true),
    unchanged,
    diff: differences.map(({ path: where, kind, why }) => ({ path: where, change: change[kind], why })),
  };
  present(flags, terminal, document, () => renderRestorePreview(preview));
  return 0;
}

async function ask(preview: RestorePreview, terminal: Terminal): Promise<boolean> {
  terminal.err(`${renderRestorePreview(preview).join('\n')}\n`);
  return terminal.ask(`Set ${preview.differences.length === 1 ? 'this' : 'these'} back to backup ${preview.backup.id}?`);
}

function tell(manager: UpdateManager, flags: CommonFlags, terminal: Terminal): (event: EventBody) => void {
  const scrub = createScrubber(manager.config.secrets);
  const say = (text: string): void => terminal.err(`${scrub(text)}\n`);
  return (event) => {
    if (event.type === 'warning') say(event.message);
    if (flags.quiet === true) return;
    if (event.type === 'service') say(`${event.service}  ${event.action}`);
    if (event.type === 'backup-verified') say(`The present state is backed up as ${event.backup.id}.`);
  };
}
