// `upgrade plan`, and `upgrade --dry-run`: shows what an upgrade would do. Writes nothing.
import { mermaidOf, textOf } from '../../plan/explain.ts';
import { planDocument, type PlanDocument } from '../../plan/plan-document.ts';
import { renderFindings } from '../../report/findings.ts';
import type { PreparedPlan } from '../../session/planning.ts';
import type { UpdateManager } from '../../update-manager.ts';
import { exitCodeOfFindings, exitCodes } from '../exit-codes.ts';
import { openManager } from '../manager.ts';
import { inkFor, present } from '../output.ts';
import type { RunFlags } from '../flags.ts';
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

/** The contract's shape: what people are told besides follows from it. */
function jsonOf({
  from,
  to,
  hash,
  transitions,
  restarts,
  backup,
  ladders,
  findings,
}: PlanDocument): Omit<PlanDocument, 'product' | 'direction' | 'estimatedDurationSeconds'> {
  return { from, to, hash, transitions, restarts, backup, ladders, findings };
}

/** Exit 3 where the upgrade would be refused. */
export async function showPlan(
  manager: UpdateManager,
  prepared: PreparedPlan,
  flags: PlanCommandFlags,
  terminal: Terminal,
): Promise<number> {
  const findings = await manager.preflight(prepared);
  const surroundings = { findings, backup: prepared.backup, services: Object.keys(manager.config.services) };
  const style = { ink: inkFor(flags, terminal), columns: terminal.columns };
  present({ ...flags, json: flags.json === true || flags.format === 'json' }, terminal, jsonOf(planDocument(prepared, surroundings)), () =>
    flags.format === 'mermaid'
      ? mermaidOf(prepared.graph, prepared)
      : [...textOf(planDocument(prepared, { ...surroundings, findings: [] })), '', ...renderFindings(findings, style)],
  );
  return exitCodeOfFindings(findings);
}
