// `upgrade plan`, and `upgrade --dry-run`: shows what an upgrade would do. Writes nothing.
import { mermaidOf } from '../../plan/explain.ts';
import { stepsOf } from '../../model/plan.ts';
import { planDocument, type PlanDocument } from '../../plan/plan-document.ts';
import { renderFindings } from '../../report/findings.ts';
import { renderPlan, type StepFacts } from '../../report/plan-page.ts';
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
  const isText = flags.json !== true && flags.format !== 'json' && flags.format !== 'mermaid';
  const [findings, facts] = await Promise.all([manager.preflight(prepared), isText ? factsOf(manager, prepared) : null]);
  const surroundings = { findings, backup: prepared.backup, services: Object.keys(manager.config.services) };
  const style = { ink: inkFor(flags, terminal), columns: terminal.columns };
  present({ ...flags, json: flags.json === true || flags.format === 'json' }, terminal, jsonOf(planDocument(prepared, surroundings)), () =>
    flags.format === 'mermaid'
      ? mermaidOf(prepared.graph, prepared)
      : [
          ...renderPlan(planDocument(prepared, surroundings), (step) => facts?.get(step) ?? null, style),
          '',
          ...renderFindings(findings, style),
        ],
  );
  return exitCodeOfFindings(findings);
}

/** Of each step what the document does not say. */
async function factsOf(manager: UpdateManager, prepared: PreparedPlan): Promise<ReadonlyMap<string, StepFacts>> {
  const outlook = await manager.outlook(prepared);
  const measured = new Map(
    (outlook?.transitions ?? []).flatMap(({ steps }) => steps.map(({ id, estimatedMs }) => [id, estimatedMs] as const)),
  );
  return new Map(
    stepsOf(prepared).map(({ id, breaking, backup, estimatedDurationMs }) => [
      id,
      { breaking, backup, estimatedMs: measured.get(id) ?? estimatedDurationMs },
    ]),
  );
}
