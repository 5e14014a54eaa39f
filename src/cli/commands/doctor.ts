// `upgrade doctor`: the preflight alone, with a remedy for each finding. Exit 3 where an upgrade would be refused.
import { renderFindings } from '../../report/findings.ts';
import { exitCodeOfFindings } from '../exit-codes.ts';
import { openManager } from '../manager.ts';
import { inkFor, present } from '../output.ts';
import type { CommonFlags } from '../flags.ts';
import type { Terminal } from '../terminal.ts';

export async function doctor(flags: CommonFlags, terminal: Terminal): Promise<number> {
  const manager = await openManager(flags, terminal);
  const findings = await manager.doctor();
  present(flags, terminal, { findings }, () => renderFindings(findings, { ink: inkFor(flags, terminal), columns: terminal.columns }));
  return exitCodeOfFindings(findings);
}
