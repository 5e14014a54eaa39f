// How much longer a run will take, from what its steps say of themselves and what was measured before. Nothing is made up: where a part of it is not known, `null`.
import { phaseNames } from '../../model/run.ts';
import type { Outlook } from '../../model/outlook.ts';
import { hasEnded, type Tree, type TreeNode } from './tree.ts';

/** From so many steps of this run on, the others are taken to be like them. */
const telling = 10;
/** A bar that has just begun tells nothing. */
const leastShare = 0.05;

export function timeLeft({ phase, isGoingBack }: Tree, outlook: Outlook | null, now: number): number | null {
  if (phase === null || isGoingBack || outlook === null) return null;
  const at = phaseNames.indexOf(phase.name);
  const after = phaseNames.slice(at + 1).filter((name) => name !== 'orchestration' && name !== 'rollback');
  const later = after.reduce((sum, name) => sum + (outlook.phaseMs[name] ?? 0), 0);
  const steps = phase.name === 'orchestration' ? stepsLeft(phase.node, now) : at < phaseNames.indexOf('orchestration') ? all(outlook) : 0;
  if (steps === null) return null;
  const own = phase.name === 'orchestration' ? 0 : (ofNode(phase.node, now) ?? 0);
  return own + steps + later;
}

function all({ transitions }: Outlook): number | null {
  return sum(transitions.flatMap(({ steps }) => steps.map(({ estimatedMs, isDone }) => (isDone ? 0 : estimatedMs))));
}

function stepsLeft({ children }: TreeNode, now: number): number | null {
  const steps = children.flatMap((transition) => transition.children);
  const measured = steps.flatMap(({ status, durationMs }) => (status === 'done' && durationMs !== null ? [durationMs] : []));
  const typical = measured.length < telling ? null : measured.reduce((total, ms) => total + ms, 0) / measured.length;
  return sum(steps.map((step) => (hasEnded(step) ? 0 : (ofNode(step, now) ?? typical))));
}

/** By its bar, else by what it was expected to take. */
function ofNode({ startedAt, estimatedMs, progress }: TreeNode, now: number): number | null {
  const elapsed = startedAt === null ? 0 : Math.max(0, now - startedAt);
  const share = progress === null || progress.total === null || progress.total <= 0 ? 0 : Math.min(1, progress.done / progress.total);
  if (share >= leastShare) return (elapsed * (1 - share)) / share;
  return estimatedMs === null ? null : Math.max(0, estimatedMs - elapsed);
}

function sum(parts: readonly (number | null)[]): number | null {
  return parts.reduce<number | null>((total, part) => (total === null || part === null ? null : total + part), 0);
}
