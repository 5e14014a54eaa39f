// `upgrade resume` and `upgrade rollback`: finish, or undo, an unfinished run.
import { openManager } from '../manager.ts';
import type { CommonFlags } from '../program.ts';
import type { Terminal } from '../terminal.ts';
import { runAndReport } from './upgrade.ts';

export interface ResumeFlags extends CommonFlags {
  readonly onlyBackward?: boolean;
  readonly onlyForward?: boolean;
}

export async function resume(flags: ResumeFlags, terminal: Terminal): Promise<number> {
  if (flags.onlyBackward === true) return rollback(flags, terminal);
  const manager = await openManager(flags, terminal);
  return runAndReport(manager, flags, terminal, (signal) => manager.resume({ signal, onlyForward: flags.onlyForward === true }));
}

export async function rollback(flags: CommonFlags, terminal: Terminal): Promise<number> {
  const manager = await openManager(flags, terminal);
  return runAndReport(manager, flags, terminal, () => manager.rollback());
}
