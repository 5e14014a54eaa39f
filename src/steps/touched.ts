// What the steps of a run can have changed: what they recorded, the databases that they name, and whether that is all.
import type { Config } from '../model/config.ts';
import type { RunContext, StepReach } from '../model/ports.ts';
import type { StepOrder } from '../model/run.ts';
import { effectsOf } from './host/effects.ts';
import { readUndoLog, undoDir } from './host/undo-log.ts';

export function reachOf(order: StepOrder, config: Config, run: RunContext): StepReach {
  const { step } = order;
  const recorded = (['apply', 'revert'] as const).flatMap((action) => readUndoLog(undoDir(run.dir, step.id, action)));
  const effects = (['apply', 'revert'] as const).flatMap((action) => effectsOf(run.dir, step.id, action));
  const named = effects.flatMap(({ kind, name }) => (kind === 'database' ? [name] : []));
  const all = Object.keys(config.databases);
  const isSql = step.kind === 'sql';
  return {
    stepId: step.id,
    paths: [
      ...new Set([...step.backup, ...recorded.flatMap((entry) => (entry.change === 'move' ? [entry.path, entry.to] : [entry.path]))]),
    ],
    databases: isSql ? (step.database === null ? all : [step.database]) : [...new Set(named)],
    // Scripts can change anything, and so can modules: they may use whatever Node has.
    isOpen: !isSql && !step.isDatabaseOnly,
  };
}
