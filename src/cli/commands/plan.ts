// `upgrade plan`, and `upgrade --dry-run`: shows what an upgrade would do. Writes nothing.
import { mermaidOf, textOf } from '../../plan/explain.ts';
import { planDocument } from '../../plan/plan-document.ts';
import { renderFindings } from '../../report/findings.ts';
import type { PreparedPlan } from '../../session/planning.ts';
import type { UpdateManager } from '../../update-manager.ts';
import { exitCodes } from '../exit-codes.ts';
import { openManager } from '../manager.ts';
import { inkFor } from '../output.ts';
import type { RunFlags } from '../program.ts';
import type { Terminal } from '../terminal.ts';
import { planRequest } from './upgrade.ts';

export interface PlanCommandFlags extends RunFlags {
  readonly format?: 'text' | 'json' | 'mermaid';
}

export async function plan(flags: PlanCommandFlags, terminal: Terminal): Promise<number> {
  const manager = await openManager(flags, terminal);
  await showPlan(manager, await manager.plan(planRequest(flags)), flags, terminal);
  // The question was answered, whatever the answer is.
  return exitCodes.done;
}

/** Exit 3 where the upgrade would be refused. */
export async function showPlan(manager: UpdateManager, prepared: PreparedPlan, flags: PlanCommandFlags, terminal: Terminal): Promise<number> {
  const findings = await manager.preflight(prepared);
  const surroundings = { findings, backup: prepared.backup, services: Object.keys(manager.config.services) };
  const format = flags.json === true || flags.events === true ? 'json' : (flags.format ?? 'text');
  if (format === 'json') terminal.out(`${JSON.stringify(planDocument(prepared, surroundings), null, 2)}\n`);
  else if (format === 'mermaid') terminal.out(`${mermaidOf(prepared.graph, prepared).join('\n')}\n`);
  else {
    const style = { ink: inkFor(flags, terminal), columns: terminal.columns };
    const lines = [...textOf(planDocument(prepared, { ...surroundings, findings: [] })), '', ...renderFindings(findings, style)];
    terminal.out(`${lines.join('\n').trimEnd()}\n`);
  }
  return findings.some(({ level }) => level === 'block') ? exitCodes.refused : exitCodes.done;
}
