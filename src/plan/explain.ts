// A Mermaid graph of all transitions, with the chosen path, blocked edges and stops. Pure.
import type { Plan } from '../model/plan.ts';
import { buildGraph, stopPassedBy, type Edge } from './graph.ts';

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
