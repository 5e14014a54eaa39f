// The versions as rungs, the transitions between them as arcs, and the way from what is installed to the latest.
import { useLayoutEffect, useRef } from 'preact/hooks';
import { Card, FailureBox } from './parts.tsx';
import type { Graph } from './types.ts';
import { count } from './words.ts';

const gap = 118;
const pad = 60;
const lane = 30;
const shownVersions = 24;

export function VersionGraph({ graph }: { readonly graph: Graph | null }) {
  const box = useRef<HTMLDivElement>(null);
  const at = graph?.installed ?? null;
  // On a phone the beginning is the least interesting part.
  useLayoutEffect(() => {
    const node = box.current?.querySelector('.node.installed');
    if (box.current !== null && node !== null && node !== undefined)
      box.current.scrollLeft += node.getBoundingClientRect().left - box.current.getBoundingClientRect().left - pad;
  }, [at]);
  if (graph === null || graph.versions.length === 0) return null;
  const { versions, transitions, installed, latest, problems } = cutOut(graph);
  const place = new Map(versions.map((version, index) => [version, pad + index * gap]));
  const isUnderEveryArc = (from: number, to: number): number => Math.min(4, Math.max(1, Math.round(Math.abs(to - from) / gap)));
  const highest = transitions.reduce((most, { from, to }) => {
    const [a, b] = [place.get(from) ?? 0, place.get(to) ?? 0];
    return b - a > gap ? Math.max(most, isUnderEveryArc(a, b)) : most;
  }, 0);
  const line = 34 + highest * lane;
  const width = pad * 2 + (versions.length - 1) * gap;
  const chosen = transitions.filter((one) => one.chosen);
  const said = `${versions.length} versions. ${installed ?? 'No version'} is installed. ${chosen.length === 0 ? 'Nothing leads further.' : `The way: ${[chosen[0]?.from, ...chosen.map(({ to }) => to)].join(', ')}.`}`;
  return (
    <Card title="Versions" id="versions" aside={<span class="quiet">{count(graph.versions.length, 'version')}</span>}>
      {problems.map((failure) => (
        <FailureBox failure={failure} />
      ))}
      <div class="scroll" ref={box} tabIndex={0} role="region" aria-label="Versions and transitions">
        <svg class="graph" width={width} height={line + 62} viewBox={`0 0 ${width} ${line + 62}`} role="img" aria-label={said}>
          {transitions
            .toSorted((a, b) => Number(a.chosen) - Number(b.chosen))
            .map(({ id, from, to, chosen: isChosen, blocked, breaking, stop, description }) => {
              const [a, b] = [place.get(from) ?? 0, place.get(to) ?? 0];
              const rise = b - a > gap ? isUnderEveryArc(a, b) * lane : 0;
              const middle = (a + b) / 2;
              const path =
                rise === 0
                  ? `M${a + 13} ${line}H${b - 13}`
                  : `M${a + 6} ${line - 12}Q${middle} ${line - 12 - rise * 1.7} ${b - 6} ${line - 12}`;
              const kind = [isChosen ? 'chosen' : '', blocked === null ? '' : 'blocked'].join(' ');
              return (
                <g class={`edge ${kind}`} key={id}>
                  <title>
                    {[
                      `${from} → ${to}`,
                      description,
                      breaking ? 'breaking' : '',
                      stop ? 'a stop' : '',
                      blocked === null ? '' : `blocked: ${blocked}`,
                    ]
                      .filter((part) => part !== '')
                      .join(' · ')}
                  </title>
                  <path d={path} />
                  {breaking && (
                    <text class="sign" x={middle} y={rise === 0 ? line - 8 : line - 16 - rise * 0.85}>
                      breaking
                    </text>
                  )}
                  {blocked !== null && (
                    <text class="sign" x={middle} y={rise === 0 ? line - 8 : line - 16 - rise * 0.85}>
                      blocked
                    </text>
                  )}
                </g>
              );
            })}
          {versions.map((version) => {
            const x = place.get(version) ?? 0;
            const isOnTheWay = chosen.some(({ to, from }) => to === version || from === version);
            const isStop = transitions.some(({ to, stop }) => to === version && stop);
            const kind = version === installed ? 'installed' : version === latest ? 'latest' : isOnTheWay ? 'way' : '';
            return (
              <g class={`node ${kind}`} key={version}>
                {isStop ? (
                  <rect x={x - 9} y={line - 9} width={18} height={18} rx={3} />
                ) : (
                  <circle cx={x} cy={line} r={version === installed || version === latest ? 11 : 8} />
                )}
                <text x={x} y={line + 32}>
                  {version}
                </text>
                <text class="note" x={x} y={line + 50}>
                  {version === installed ? 'installed' : version === latest ? 'latest' : isStop ? 'stop' : ''}
                </text>
              </g>
            );
          })}
        </svg>
      </div>
    </Card>
  );
}

/** Of a long history, what is around the installed version. */
function cutOut(graph: Graph): Graph {
  if (graph.versions.length <= shownVersions) return graph;
  const at = graph.installed === null ? 0 : graph.versions.indexOf(graph.installed);
  const from = Math.max(0, Math.min(at - 4, graph.versions.length - shownVersions));
  const versions = graph.versions.slice(from, from + shownVersions);
  const isShown = new Set(versions);
  return { ...graph, versions, transitions: graph.transitions.filter((one) => isShown.has(one.from) && isShown.has(one.to)) };
}
