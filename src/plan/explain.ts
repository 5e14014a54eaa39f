// Says what a plan does, as lines for a page of text and as a Mermaid graph with the chosen path, blocked edges and stops. Pure.
import type { Plan } from '../model/plan.ts';
import { buildGraph, stopPassedBy, type Edge } from './graph.ts';
import type { PlanDocument } from './plan-document.ts';

type DocumentTransition = PlanDocument['transitions'][number];
type DocumentStep = DocumentTransition['steps'][number];

/** Lines without colours and without findings; the caller adds both. */
export function textOf(document: PlanDocument): readonly string[] {
  const { product, from, to, direction, transitions, estimatedDurationSeconds, backup, restarts, ladders, hash } = document;
  const heights = [...new Map(ladders.map(({ name, height }) => [name, `${name} to ${height}`])).values()];
  const steps = [...transitions, ...ladders].reduce((sum, part) => sum + part.steps.length, 0);
  if (from === to && ladders.length === 0) return [`${product} is ${from === null ? 'up to date' : `at ${from}`}: there is nothing to do.`];
  return [
    from === to ? `${product}: ladders` : `${product}: ${from} → ${to}${direction === 'down' ? ' (downgrade)' : ''}`,
    `${from === to ? '' : `${counted(transitions.length, 'transition')}, `}${counted(steps, 'step')}${estimatedDurationSeconds === null ? '' : `, about ${duration(estimatedDurationSeconds)}`}`,
    ...(transitions.length === 0 && ladders.length === 0 ? ['', 'No transition is needed: only the version changes.'] : []),
    ...transitions.flatMap((transition) => ['', ...transitionLines(transition)]),
    ...ladders.flatMap(({ name, from: below, height, steps: rungs }) =>
      rungs.length === 0 ? [] : ['', `ladder ${name}  ${below} → ${height}`, ...rungs.map(stepLine)],
    ),
    '',
    `Backup    ${backup.sources.length === 0 ? 'nothing' : `${backup.sources.join(', ')} (about ${size(backup.estimatedBytes)})`}`,
    `Restarts  ${restarts.length === 0 ? 'none' : restarts.join(', ')}`,
    ...(heights.length === 0 ? [] : [`Ladders   ${heights.join(', ')}`]),
    `Plan      ${hash}`,
  ];
}

/** For `plan --format mermaid`. */
export function mermaidOf(transitions: readonly Edge[], plan: Plan | null): readonly string[] {
  const graph = buildGraph(transitions);
  const names = new Map<string, string>(graph.versions.map((version, at) => [version, `v${at}`]));
  const nameOf = (version: string) => names.get(version) ?? version;
  const chosen = new Set(plan?.transitions.map(({ id }) => id));
  const stops = new Set<string>(graph.stops);
  const edges = [...transitions].toSorted(
    (a, b) => (graph.rank.get(a.from) ?? 0) - (graph.rank.get(b.from) ?? 0) || (graph.rank.get(a.to) ?? 0) - (graph.rank.get(b.to) ?? 0),
  );
  const styles = edges.flatMap(({ id }, at) => (chosen.has(id) ? [`  linkStyle ${at} stroke:#2a7,stroke-width:3px`] : []));
  const ends = (plan === null ? [] : [plan.from, plan.to]).flatMap((version) => (version !== null && names.has(version) ? [version] : []));
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

function transitionLines({ from, to, description, breaking, steps }: DocumentTransition): readonly string[] {
  return [
    `${from} → ${to}${description === '' ? '' : `  ${description}`}${breaking ? '  [breaking]' : ''}`,
    ...(steps.length === 0 ? ['  no steps'] : steps.map(stepLine)),
  ];
}

function stepLine({ id, kind, description, reversible, requiresRestart, estimatedDurationSeconds }: DocumentStep): string {
  const marks = [
    !reversible && 'no backward: undone from the backup',
    requiresRestart.length > 0 && `restarts ${requiresRestart.join(', ')}`,
    estimatedDurationSeconds !== null && duration(estimatedDurationSeconds),
  ].filter((mark) => mark !== false);
  return `  ${kind.padEnd(3)} ${id.slice(id.indexOf('/') + 1)}  ${description}${marks.length === 0 ? '' : `  [${marks.join('; ')}]`}`;
}

function counted(count: number, word: string): string {
  return `${count} ${word}${count === 1 ? '' : 's'}`;
}

function duration(seconds: number): string {
  if (seconds < 1) return `${Math.round(seconds * 1000)} ms`;
  if (seconds < 60) return `${Math.round(seconds * 10) / 10} s`;
  return `${Math.round(seconds / 6) / 10} min`;
}

function size(bytes: number): string {
  const units = ['B', 'KB', 'MB', 'GB', 'TB'];
  const at = Math.min(units.length - 1, bytes < 1 ? 0 : Math.floor(Math.log2(bytes) / 10));
  return `${Math.round((bytes / 1024 ** at) * 10) / 10} ${units[at] ?? 'B'}`;
}
