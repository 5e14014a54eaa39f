// Says what a plan does, as lines for a page of text and as a Mermaid graph with the chosen path, blocked edges and stops. Pure.
import type { Finding, Plan, Step, Transition } from '../model/plan.ts';
import { buildGraph, stopPassedBy, type Edge } from './graph.ts';
import { estimatedMs, servicesOf, type PlanSurroundings } from './plan-document.ts';

/** Lines without colours; the caller may paint them. */
export function explainPlan(plan: Plan, { services, backup, findings }: PlanSurroundings): readonly string[] {
  const steps = plan.transitions.flatMap((transition) => transition.steps);
  const estimate = estimatedMs(plan);
  const restarts = servicesOf(plan, services);
  return [
    `${plan.product}: ${plan.from} → ${plan.to}${plan.direction === 'down' ? ' (downgrade)' : ''}`,
    `${counted(plan.transitions.length, 'transition')}, ${counted(steps.length, 'step')}${estimate === null ? '' : `, about ${duration(estimate)}`}`,
    ...(plan.transitions.length === 0 ? ['', 'No transition is needed: only the version changes.'] : []),
    ...plan.transitions.flatMap((transition) => ['', ...transitionLines(transition, plan)]),
    '',
    `Backup    ${backup.sources.length === 0 ? 'nothing' : `${backup.sources.join(', ')} (about ${size(backup.bytes)})`}`,
    `Restarts  ${restarts.length === 0 ? 'none' : restarts.join(', ')}`,
    `Plan      ${plan.hash}`,
    ...findingLines(findings),
  ];
}

/** For `plan --format mermaid`. */
export function mermaidOf(transitions: readonly Edge[], plan: Plan | null): readonly string[] {
  const graph = buildGraph(transitions);
  const names = new Map<string, string>(graph.versions.map((version, at) => [version, `v${at}`]));
  const nameOf = (version: string) => names.get(version) ?? version;
  const chosen = new Set(plan?.transitions.map(({ id }) => id));
  const stops = new Set<string>(graph.stops);
  const edges = [...transitions].toSorted((a, b) => (graph.rank.get(a.from) ?? 0) - (graph.rank.get(b.from) ?? 0) || (graph.rank.get(a.to) ?? 0) - (graph.rank.get(b.to) ?? 0));
  const styles = edges.flatMap(({ id }, at) => (chosen.has(id) ? [`  linkStyle ${at} stroke:#2a7,stroke-width:3px`] : []));
  const ends = (plan === null ? [] : [plan.from, plan.to]).filter((version) => names.has(version));
  return [
    'graph LR',
    ...graph.versions.map((version) => `  ${nameOf(version)}${stops.has(version) ? `{{"${version} (stop)"}}` : `["${version}"]`}`),
    ...edges.map((edge) => `  ${nameOf(edge.from)} ${arrow(edge, chosen, stopPassedBy(graph, edge))} ${nameOf(edge.to)}`),
    ...styles,
    ...ends.map((version) => `  style ${nameOf(version)} stroke:#2a7,stroke-width:3px`),
  ];
}

function arrow({ id, blocked }: Edge, chosen: ReadonlySet<string>, over: string | null): string {
  if (blocked !== null) return `-. "blocked: ${mermaidText(blocked)}" .-x`;
  if (chosen.has(id)) return '==>';
  return over === null ? '-->' : `-. "not over the stop ${over}" .->`;
}

/** A label ends at a quote, and Mermaid reads `#…;` as a character. */
function mermaidText(text: string): string {
  return text.replaceAll('#', '#35;').replaceAll('"', '#quot;').replaceAll(/\s+/g, ' ');
}

function transitionLines(transition: Transition, { direction }: Plan): readonly string[] {
  const [from, to] = direction === 'up' ? [transition.from, transition.to] : [transition.to, transition.from];
  const marks = transition.breaking ? '  [breaking]' : '';
  return [
    `${from} → ${to}${transition.description === '' ? '' : `  ${transition.description}`}${marks}`,
    ...(transition.steps.length === 0 ? ['  no steps'] : transition.steps.map(stepLine)),
  ];
}

function stepLine(step: Step): string {
  const label = step.id.slice(step.id.indexOf('/') + 1);
  const marks = [
    step.breaking && 'breaking',
    !step.isReversible && 'no backward: undone from the backup',
    step.requiresRestart.length > 0 && `restarts ${step.requiresRestart.join(', ')}`,
    step.estimatedDurationMs !== null && duration(step.estimatedDurationMs),
  ].filter((mark) => mark !== false);
  return `  ${step.kind.padEnd(3)} ${label}  ${step.description}${marks.length === 0 ? '' : `  [${marks.join('; ')}]`}`;
}

function findingLines(findings: readonly Finding[]): readonly string[] {
  if (findings.length === 0) return [];
  const order = { block: 0, warn: 1, info: 2 };
  const lines = findings.toSorted((a, b) => order[a.level] - order[b.level]).flatMap(({ level, code, message, hint }) => [`  ${level.padEnd(5)} ${code}: ${message}`, `        ${hint}`]);
  return ['', 'Findings', ...lines];
}

function counted(count: number, word: string): string {
  return `${count} ${word}${count === 1 ? '' : 's'}`;
}

function duration(ms: number): string {
  if (ms < 1000) return `${ms} ms`;
  if (ms < 60_000) return `${Math.round(ms / 100) / 10} s`;
  return `${Math.round(ms / 6000) / 10} min`;
}

function size(bytes: number): string {
  const units = ['B', 'KB', 'MB', 'GB', 'TB'];
  const at = Math.min(units.length - 1, bytes < 1 ? 0 : Math.floor(Math.log2(bytes) / 10));
  return `${Math.round((bytes / 1024 ** at) * 10) / 10} ${units[at] ?? 'B'}`;
}
